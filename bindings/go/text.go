package thalweg

// #include <stdlib.h>
// #include <thalweg.h>
import "C"

import (
	"strings"
	"unsafe"
)

// text is what stands before the zero byte of a field.
func text(field []C.char) string {
	return C.GoString(unsafe.SliceData(field))
}

// withText lends a string to a call. One with a zero byte is refused instead of cut.
func withText(from string, function func(*C.char) error) error {
	if strings.IndexByte(from, 0) >= 0 {
		return &Error{Status: ErrInvalidArgument, Message: "a name has a zero byte"}
	}
	lent := C.CString(from)
	defer C.free(unsafe.Pointer(lent))
	return function(lent)
}

// copied is bytes in memory of C, to be freed; nil is none.
func copied(from []byte) C.thalweg_bytes {
	if from == nil {
		return C.thalweg_bytes{}
	}
	// One byte more, so that no bytes are not nowhere.
	return C.thalweg_bytes{C.CBytes(append(from[:len(from):len(from)], 0)), C.size_t(len(from))}
}
