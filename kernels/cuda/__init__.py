"""The GPU's twins of the kernels that count and score: CUDA source, and the state that lives on the device.

What the CUDA source does is the same on every machine: tests compile it as C++ too. cupy is imported
in `device` alone, and only when a GPU is asked for.
"""
