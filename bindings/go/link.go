//go:build !thalweg_dynamic

package thalweg

// `make go-lib` puts the library and its header into lib. A folder that is not there does no harm: who has them
// elsewhere names that by CGO_CFLAGS and CGO_LDFLAGS.

/*
#cgo CFLAGS: -I${SRCDIR}/lib
#cgo LDFLAGS: -L${SRCDIR}/lib -l:libthalweg.a -lpthread -lm -ldl

// Go does not look whether a library has changed. This makes the package another one when it has.
#if __has_include("library.h")
#include "library.h"
#endif
*/
import "C"
