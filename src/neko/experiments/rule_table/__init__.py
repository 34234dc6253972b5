"""The table of every gradient rule by tasks and neurons, made by ``neko reproduce rules``."""
