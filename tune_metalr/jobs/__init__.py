"""Studies as jobs on somebody's cluster: what is shipped, submitted and followed. No ray."""
