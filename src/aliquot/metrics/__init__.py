"""What Prometheus reads of every part: the text format, histograms, and the HTTP that serves them beside the probes."""
