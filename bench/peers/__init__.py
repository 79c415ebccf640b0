"""Other products, each in a virtual environment of its own, driven from the run that measures ours."""
