package thalweg

// #include <thalweg.h>
import "C"

import (
	"context"
	"runtime"
	"time"
)

// FrameKind is what a frame holds.
type FrameKind uint32

const (
	FrameOther  FrameKind = C.THALWEG_FRAME_OTHER
	FrameData   FrameKind = C.THALWEG_FRAME_DATA
	FramePad    FrameKind = C.THALWEG_FRAME_PAD
	FrameVoid   FrameKind = C.THALWEG_FRAME_VOID
	FrameDamage FrameKind = C.THALWEG_FRAME_DAMAGE
)

// Frame is a frame as it stands in its segment.
type Frame struct {
	// The segment's generation.
	Generation uint64
	// Byte of the file where it begins.
	Position uint64
	// Its bytes, header and padding counted.
	Size uint64
	// The offset of its first record.
	BaseOffset uint64
	// Offsets that it takes.
	Count uint64
	// When it was appended.
	AppendTime time.Time
	// The term that its batch was given, if HasTerm.
	Term uint64
	// The offset below which the partition was durable when it was written, or [NoOffset].
	Durable uint64
	// The segment's number within its partition.
	Segment uint32
	// What it holds.
	Kind    FrameKind
	HasTerm bool
	// What is wrong with it, or empty.
	Why string
}

// Frames are the frames of a partition as they stand in its segments: from the one that holds the offset from, up to
// the first that begins at the offset until or beyond. Damage is told in its place.
func (t *Topic) Frames(ctx context.Context, partition uint32, from, until uint64) ([]Frame, error) {
	return detach(ctx, func() ([]Frame, error) {
		found, err := list(func(
			into *C.thalweg_frame, capacity C.size_t, count *C.size_t, failure *C.thalweg_error,
		) C.thalweg_status {
			defer runtime.KeepAlive(t)
			return C.thalweg_topic_list_frames(t.handle, C.uint32_t(partition), C.uint64_t(from), C.uint64_t(until),
				into, capacity, count, failure)
		})
		return convert(found, frame), err
	}, nil)
}

func frame(from *C.thalweg_frame) Frame {
	return Frame{
		Generation: uint64(from.generation),
		Position:   uint64(from.position),
		Size:       uint64(from.size),
		BaseOffset: uint64(from.base_offset),
		Count:      uint64(from.count),
		AppendTime: time.UnixMilli(int64(from.append_time)),
		Term:       uint64(from.term),
		Durable:    uint64(from.durable),
		Segment:    uint32(from.segment),
		Kind:       FrameKind(from.kind),
		Why:        text(from.why[:]),
		HasTerm:    from.flags&C.THALWEG_FRAME_HAS_TERM != 0,
	}
}
