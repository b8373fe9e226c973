"""Where API versions are used: in files, in Helm's releases, in what was applied, in who asked the API server.

The API server answers in any version it serves, so what it lists says nothing about what an object was written in. Each reader
here looks at one trace that does.
"""
