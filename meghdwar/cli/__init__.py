"""The commands: mdw-compile, and later mdw."""
