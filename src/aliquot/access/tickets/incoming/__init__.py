"""What ticket systems send by themselves: verified, told apart from what came before, and read as strictly as a file.

It is a hint. That a ticket changed has its grants looked at again, and its system asked; what is asked for by a webhook goes through
the same door as what anybody asks for, names a ticket that stands, and is never an emergency. All of it is pure: headers, body, keys
and the time in, and out comes a delivery or the one line why it is none.
"""
