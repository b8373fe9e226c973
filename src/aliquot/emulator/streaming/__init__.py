"""pods/exec and pods/attach: a person at a terminal, joined to a container over a WebSocket.

    session   what a kubelet gives: a command that runs, what it prints, what it is told, how it ends
    channels  how its streams share one connection: the subprotocols of kubectl and of the client libraries
    terminal  the two joined, until the command ends or the person goes
    joining   what is asked for, whether it may be, and of which pod

The API server asks kubelets through `session.Kubelets` and knows nothing of how containers run. SPDY, which kubectl
spoke before 1.31, is not spoken.
"""
