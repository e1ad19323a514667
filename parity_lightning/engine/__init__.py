"""Trains T networks of one architecture in one vectorised step, in C++, CUDA or compiled; without Lightning."""
