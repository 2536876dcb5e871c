package thalweg

// #include <thalweg.h>
import "C"

// list fills a slice by a call that tells how many entries there are; again, where it grew meanwhile.
func list[T any](function func(
	entries *T, capacity C.size_t, count *C.size_t, failure *C.thalweg_error,
) C.thalweg_status) ([]T, error) {
	entries := make([]T, 16)
	for {
		var count C.size_t
		err := call(func(failure *C.thalweg_error) C.thalweg_status {
			return function(&entries[0], C.size_t(len(entries)), &count, failure)
		})
		if err != nil {
			return nil, err
		}
		if int(count) <= len(entries) {
			return entries[:count], nil
		}
		entries = make([]T, count)
	}
}

// listText is list for bytes, as text.
func listText(function func(
	buffer *C.char, capacity C.size_t, size *C.size_t, failure *C.thalweg_error,
) C.thalweg_status) (string, error) {
	// The zero byte at the end is not counted.
	bytes, err := list(func(
		buffer *C.char, capacity C.size_t, size *C.size_t, failure *C.thalweg_error,
	) C.thalweg_status {
		status := function(buffer, capacity, size, failure)
		*size++
		return status
	})
	if err != nil {
		return "", err
	}
	return text(bytes), nil
}

// convert converts each.
func convert[From, To any](from []From, one func(*From) To) []To {
	to := make([]To, len(from))
	for i := range from {
		to[i] = one(&from[i])
	}
	return to
}
