//! What gcc, clang, ld, CMake, make and ninja really print.

