// Throughput does what the C program of the Python package does, from Go: throughput WORKLOAD DIRECTORY RECORDS. It
// prints records per second by the clock, and by the time that the thread which does the work had a processor.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	thalweg "example.invalid/thalweg/bindings/go"
)

const (
	valueSize = 100
	chunk     = 8192
)

var background = context.Background()

// processor is the time that this thread had a processor.
func processor() time.Duration {
	const threadCPUTime = 3
	var now syscall.Timespec
	_, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, threadCPUTime, uintptr(unsafe.Pointer(&now)), 0)
	if errno != 0 {
		panic(errno)
	}
	return time.Duration(now.Nano())
}

// appendAll appends records in submits of each, and waits for the last, which stands behind all others.
func appendAll(topic *thalweg.Topic, count, each int) error {
	records := make([]thalweg.Record, each)
	for i := range records {
		records[i].Value = bytes.Repeat([]byte("x"), valueSize)
	}
	var last *thalweg.Ticket
	for left := count; left > 0; left -= each {
		var err error
		if each == 1 {
			last, err = topic.Submit(background, records[0])
		} else {
			last, err = topic.SubmitBatch(background, records[:min(each, left)])
		}
		if err != nil {
			return err
		}
	}
	_, err := last.Wait(background)
	return err
}

// writeAll writes records one by one to a writer, which puts them together.
func writeAll(topic *thalweg.Topic, count int) error {
	writer := topic.Writer()
	value := bytes.Repeat([]byte("x"), valueSize)
	for range count {
		if err := writer.Write(background, thalweg.Record{Value: value}); err != nil {
			return err
		}
	}
	return writer.Flush(background)
}

// walk reads everything, and looks at the first byte and the size of each value.
func walk(engine *thalweg.Engine, topic *thalweg.Topic, count int) (int, error) {
	consumer, err := engine.Consumer(background, "")
	if err != nil {
		return 0, err
	}
	defer consumer.Close()
	if err := consumer.Subscribe(background, topic); err != nil {
		return 0, err
	}
	seen, sum := 0, 0
	for seen < count {
		batch, err := consumer.Poll(background)
		if err != nil {
			return 0, err
		}
		for record := range batch.All() {
			sum += int(record.Value[0]) + len(record.Value)
		}
		seen += batch.Len()
		batch.Release()
	}
	if sum != seen*(valueSize+'x') {
		return 0, errors.New("other records were read")
	}
	return seen, nil
}

func run(workload, directory string, count int) (err error) {
	engine, err := thalweg.Open(directory, thalweg.Shards(1), thalweg.DefaultDurability(thalweg.LoseOnKill))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	topic, err := engine.CreateTopic(background, "t")
	if errors.Is(err, thalweg.ErrAlreadyExists) {
		topic, err = engine.Topic("t")
	}
	if err != nil {
		return err
	}
	// The first append waits for a file, and the first read for the device.
	if err := appendAll(topic, 1, 1); err != nil {
		return err
	}
	runtime.LockOSThread()
	start, used := time.Now(), processor()
	switch workload {
	case "one":
		err = appendAll(topic, count, 1)
	case "writer":
		err = writeAll(topic, count)
	case "lists":
		err = appendAll(topic, count, chunk)
	default:
		if err := appendAll(topic, count, chunk); err != nil {
			return err
		}
		if _, err := walk(engine, topic, count); err != nil {
			return err
		}
		start, used = time.Now(), processor()
		count, err = walk(engine, topic, count)
	}
	if err != nil {
		return err
	}
	clock, thread := time.Since(start), processor()-used
	fmt.Printf("%.0f %.0f\n", float64(count)/clock.Seconds(), float64(count)/thread.Seconds())
	return nil
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "throughput WORKLOAD DIRECTORY RECORDS")
		os.Exit(2)
	}
	count, err := strconv.Atoi(os.Args[3])
	if name := os.Getenv("THROUGHPUT_PROFILE"); err == nil && name != "" {
		var file *os.File
		if file, err = os.Create(name); err == nil {
			err = pprof.StartCPUProfile(file)
			defer pprof.StopCPUProfile()
		}
	}
	if err == nil {
		err = run(os.Args[1], os.Args[2], count)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
