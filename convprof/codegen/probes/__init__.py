"""Kernels that only measure the machine: multiply-adds, streams, chains, the time-stamp counter."""
