package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	thalweg "example.invalid/thalweg/bindings/go"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// serve serves a topic of two partitions.
func serve(t *testing.T) (*thalweg.Engine, *thalweg.Topic, string) {
	engine, err := thalweg.Open(t.TempDir(), thalweg.Shards(1))
	check(t, err)
	t.Cleanup(func() { check(t, engine.Close()) })
	topic, err := engine.CreateTopic(t.Context(), "t", thalweg.Partitions(2))
	check(t, err)
	server := httptest.NewServer(tail(engine, topic))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return engine, topic, server.URL
}

func request(t *testing.T, url, last string) io.ReadCloser {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	asked, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	check(t, err)
	asked.Header.Set("Last-Event-ID", last)
	response, err := http.DefaultClient.Do(asked)
	check(t, err)
	return response.Body
}

// event reads one.
func event(t *testing.T, from *bufio.Scanner) (id, data string) {
	t.Helper()
	for from.Scan() {
		switch word, rest, _ := strings.Cut(from.Text(), ": "); word {
		case "id":
			id = rest
		case "data":
			data += rest + "\n"
		case "":
			return id, strings.TrimSuffix(data, "\n")
		}
	}
	t.Fatal("the stream ended", from.Err())
	return "", ""
}

func TestClientsSeeRecordsAsTheyComeAndGoOnWhereTheyWere(t *testing.T) {
	_, topic, url := serve(t)
	body := request(t, url, "")
	lines := bufio.NewScanner(body)
	last := ""
	for i := range 10 {
		want := fmt.Sprintf("first line of %d\nsecond line", i)
		_, err := topic.Append(t.Context(), thalweg.Record{Value: []byte(want)})
		check(t, err)
		var data string
		if last, data = event(t, lines); data != want {
			t.Fatalf("%q came instead of %q", data, want)
		}
	}
	check(t, body.Close())
	_, err := topic.Append(t.Context(), thalweg.Record{Value: []byte("missed")})
	check(t, err)
	body = request(t, url, last)
	defer body.Close()
	if _, data := event(t, bufio.NewScanner(body)); data != "missed" {
		t.Errorf("%q came", data)
	}
}

// A client that does not read holds one batch, while others read on and appends go on; then it reads everything.
func TestASlowClientHoldsUpNobody(t *testing.T) {
	engine, topic, url := serve(t)
	slow := request(t, url, "")
	defer slow.Close()
	const records = 2000
	value := bytes.Repeat([]byte("x"), 32<<10)
	var last *thalweg.Ticket
	for range records {
		var err error
		last, err = topic.Submit(t.Context(), thalweg.Record{Value: value})
		check(t, err)
	}
	_, err := last.Wait(t.Context())
	check(t, err)
	fast := bufio.NewScanner(request(t, url, ""))
	fast.Buffer(nil, 1<<20)
	for range records {
		event(t, fast)
	}
	metrics, err := engine.Metrics(t.Context())
	check(t, err)
	if metrics.ReadBytes > records*32<<10*3/2 {
		t.Errorf("%d bytes were read for a client that does not read", metrics.ReadBytes)
	}
	late := bufio.NewScanner(slow)
	late.Buffer(nil, 1<<20)
	for range records {
		if _, data := event(t, late); len(data) != len(value) {
			t.Fatalf("%d bytes came", len(data))
		}
	}
}
