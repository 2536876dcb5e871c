package thalweg

// #include <thalweg.h>
import "C"

// AppendOption says how one append behaves.
type AppendOption struct {
	kind  appendOptionKind
	value uint64
}

type appendOptionKind uint8

const (
	toPartition appendOptionKind = iota
	expectOffset
	withTerm
	withDurability
)

// ToPartition names the partition. Without it the key of the (first) record chooses it, or without a key the next by
// turns.
func ToPartition(partition uint32) AppendOption { return AppendOption{toPartition, uint64(partition)} }

// ExpectOffset: the batch is appended only if it gets this offset; else [ErrOffsetMismatch].
func ExpectOffset(offset uint64) AppendOption { return AppendOption{expectOffset, offset} }

// WithTerm keeps a number with the batch: the term of a consensus protocol.
func WithTerm(term uint64) AppendOption { return AppendOption{withTerm, term} }

// WithDurability is when the append is acknowledged; by default as its topic says.
func WithDurability(durability Durability) AppendOption {
	return AppendOption{withDurability, uint64(durability)}
}

type appendOptions struct {
	partition  C.uint32_t
	flags      C.uint32_t
	durability C.uint32_t
	expected   C.uint64_t
	term       C.uint64_t
}

func newAppendOptions(opts []AppendOption) appendOptions {
	// Who finds no room is told in the completion queue when to try again.
	options := appendOptions{partition: C.THALWEG_PARTITION_BY_KEY, flags: C.THALWEG_APPEND_NOTIFY}
	for _, opt := range opts {
		switch opt.kind {
		case toPartition:
			options.partition = C.uint32_t(opt.value)
		case expectOffset:
			options.flags |= C.THALWEG_APPEND_EXPECTED_OFFSET
			options.expected = C.uint64_t(opt.value)
		case withTerm:
			options.flags |= C.THALWEG_APPEND_TERM
			options.term = C.uint64_t(opt.value)
		case withDurability:
			options.durability = C.uint32_t(opt.value)
		}
	}
	return options
}
