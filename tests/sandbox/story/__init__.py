"""The life of a prompt as a release, played on the sandbox: each step checks what it claims."""
