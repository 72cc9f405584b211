"""The bytes of a prompt, what is published of it, and the answers to it."""
