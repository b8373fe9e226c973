"""All of break glass in one process: its configuration, the files of its policy, its clusters, and HTTPS for the API."""
