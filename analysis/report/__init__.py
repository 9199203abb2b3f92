"""One page that answers a study's question: sections of sentences, figures and tables."""
