package thalweg

// #include <thalweg.h>
import "C"

// Version is that of the library that is loaded, such as "0.1.0".
func Version() string { return C.GoString(C.thalweg_version()) }

// BuildInfo is how the library was built: one line to show in a bug report.
func BuildInfo() string { return C.GoString(C.thalweg_build_info()) }
