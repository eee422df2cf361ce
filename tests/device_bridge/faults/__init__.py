"""One box, one bridge, one backend in one process, on a clock moved by hand."""
