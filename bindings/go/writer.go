package thalweg

import (
	"context"
	"errors"
)

// When a [Writer] submits what it has.
const (
	writerRecordsMax = 8192
	writerBytesMax   = 1 << 20
)

// Writer puts records together and submits them in batches, as bufio.Writer does with bytes. What it has not submitted
// yet is only in it. One goroutine at a time.
type Writer struct {
	topic    *Topic
	records  []Record
	bytes    []byte
	underWay []*Ticket
	err      error
}

// Writer makes a writer to the topic. It need not be closed; [Writer.Flush] is what makes its records durable.
func (t *Topic) Writer() *Writer { return &Writer{topic: t} }

// Write takes a record, which is copied, and now and then submits a batch. After an error each call answers it: some of
// the records since the last Flush may be there, and others not.
func (w *Writer) Write(ctx context.Context, record Record) error {
	if w.err != nil {
		return w.err
	}
	size := len(record.Key) + len(record.Value)
	if len(w.records) == writerRecordsMax || len(w.records) > 0 && len(w.bytes)+size > writerBytesMax {
		if err := w.submit(ctx); err != nil {
			return err
		}
	}
	if w.bytes == nil {
		w.bytes = make([]byte, 0, max(writerBytesMax, size))
		w.records = make([]Record, 0, writerRecordsMax)
	}
	if len(record.Headers) > 0 {
		// They are seldom, and many small pieces.
		record.Headers = Record{Headers: record.Headers}.Clone().Headers
	}
	record.Key, record.Value = w.keep(record.Key), w.keep(record.Value)
	w.records = append(w.records, record)
	return nil
}

// keep copies bytes behind the others; nil is none.
func (w *Writer) keep(bytes []byte) []byte {
	if bytes == nil {
		return nil
	}
	at := len(w.bytes)
	w.bytes = append(w.bytes, bytes...)
	return w.bytes[at:]
}

// Flush submits what is left, and returns when everything that was written is acknowledged.
func (w *Writer) Flush(ctx context.Context) error {
	if w.err == nil && len(w.records) > 0 {
		// Its error is kept.
		_ = w.submit(ctx)
	}
	for _, ticket := range w.underWay {
		_, err := ticket.Wait(ctx)
		w.fail(err)
	}
	w.underWay = nil
	return w.err
}

func (w *Writer) fail(err error) {
	if err != nil && w.err == nil {
		w.err = err
	}
}

// submit submits the records, and lets go of tickets that are settled.
func (w *Writer) submit(ctx context.Context) error {
	_, tickets, failed, err := w.topic.submitParts(ctx, w.records)
	w.fail(errors.Join(append(failed, err)...))
	w.records, w.bytes = w.records[:0], w.bytes[:0]
	left := w.underWay[:0]
	for _, ticket := range append(w.underWay, tickets...) {
		switch {
		case ticket == nil:
		case ticket.signal.Load() == over:
			w.fail(ticket.err)
		default:
			left = append(left, ticket)
		}
	}
	w.underWay = left
	return w.err
}
