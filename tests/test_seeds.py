from tune_metalr.seeds import derive_seed


def test_a_seed_is_the_same_everywhere():
    # Pinned: a change would give every trial other weights and batches.
    assert derive_seed("weights", "digits-cnn", 0) == 2253426742854459380


def test_every_name_and_their_order_matter():
    seeds = {
        derive_seed("a", "b"),
        derive_seed("b", "a"),
        derive_seed("a", "b", 0),
        derive_seed("ab"),
    }
    assert len(seeds) == 4


def test_a_number_is_not_its_text():
    assert derive_seed("order", 1) != derive_seed("order", "1")


def test_seeds_fit_every_generator():
    assert all(0 <= derive_seed(index) < 2**63 for index in range(1000))
