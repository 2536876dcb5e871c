// Tail serves the records of a topic over HTTP as server-sent events, as they come: tail STORE TOPIC ADDRESS.
//
// Each client has a consumer of its own. One that reads slowly is not buffered for: the write to it waits, and so its
// consumer does not poll, while the records stay on the device. The identifier of an event says where the client was
// in each partition, so that one which connects again (Last-Event-ID) goes on there.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"

	thalweg "example.invalid/thalweg/bindings/go"
)

// positions is the next offset of each partition.
type positions []uint64

func (p positions) String() string {
	words := make([]string, len(p))
	for i, offset := range p {
		words[i] = strconv.FormatUint(offset, 10)
	}
	return strings.Join(words, ",")
}

func parsePositions(text string) (positions, error) {
	var p positions
	for word := range strings.SplitSeq(text, ",") {
		offset, err := strconv.ParseUint(word, 10, 64)
		if err != nil {
			return nil, err
		}
		p = append(p, offset)
	}
	return p, nil
}

// tail is the handler for one topic.
func tail(engine *thalweg.Engine, topic *thalweg.Topic) http.Handler {
	return http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		consumer, at, err := consumerFor(request, engine, topic)
		if err != nil {
			http.Error(writer, err.Error(), http.StatusBadRequest)
			return
		}
		defer consumer.Close()
		writer.Header().Set("Content-Type", "text/event-stream")
		writer.Header().Set("Cache-Control", "no-store")
		control := http.NewResponseController(writer)
		if err := control.Flush(); err != nil {
			return
		}
		// It ends with the request, and so when the client has gone.
		for batch, err := range consumer.Batches(request.Context()) {
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					fmt.Fprintf(writer, "event: error\ndata: %s\n\n", oneLine(err.Error()))
				}
				return
			}
			for record := range batch.All() {
				for int(record.Partition) >= len(at) {
					at = append(at, 0)
				}
				at[record.Partition] = record.Offset + 1
				data := oneLine(string(record.Value))
				if _, err := fmt.Fprintf(writer, "id: %s\ndata: %s\n\n", at, data); err != nil {
					return
				}
			}
			if err := control.Flush(); err != nil {
				return
			}
		}
	})
}

// consumerFor begins where the client was, or else at the first record.
func consumerFor(request *http.Request, engine *thalweg.Engine, topic *thalweg.Topic) (*thalweg.Consumer, positions,
	error) {
	consumer, err := engine.Consumer(request.Context(), "", thalweg.MaxBytes(64<<10))
	if err != nil {
		return nil, nil, err
	}
	var at positions
	err = consumer.Subscribe(request.Context(), topic)
	if last := request.Header.Get("Last-Event-ID"); err == nil && last != "" {
		at, err = parsePositions(last)
		for partition := 0; err == nil && partition < len(at); partition++ {
			err = consumer.Seek(request.Context(), topic, uint32(partition), thalweg.AtOffset(at[partition]))
		}
	}
	if err != nil {
		return nil, nil, errors.Join(err, consumer.Close())
	}
	return consumer, at, nil
}

// oneLine is text as the data of an event, which ends with its line.
func oneLine(text string) string {
	return strings.NewReplacer("\r", "\ndata: ", "\n", "\ndata: ").Replace(text)
}

func run(store, name, address string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	engine, err := thalweg.Open(store, thalweg.ReadOnly())
	if err != nil {
		return err
	}
	defer engine.Close()
	topic, err := engine.Topic(name)
	if err != nil {
		return err
	}
	server := &http.Server{Addr: address, Handler: tail(engine, topic)}
	// Clients that wait for records would never be done.
	context.AfterFunc(ctx, func() { _ = server.Close() })
	log.Printf("serving %s on %s", name, address)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "tail STORE TOPIC ADDRESS")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		log.Fatal(err)
	}
}
