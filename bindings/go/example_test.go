package thalweg_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	thalweg "example.invalid/thalweg/bindings/go"
)

func program(ctx context.Context, dir string) error {
	db, err := thalweg.Open(dir)
	if err != nil {
		return err
	}
	defer db.Close()
	orders, err := db.CreateTopic(ctx, "orders", thalweg.Partitions(4))
	if err != nil {
		return err
	}
	// Durable when it returns.
	if _, err := orders.Append(ctx, thalweg.Record{Key: []byte("ann"), Value: []byte("two lamps")}); err != nil {
		return err
	}
	billing, err := db.Consumer(ctx, "billing")
	if err != nil {
		return err
	}
	defer billing.Close()
	if err := billing.Subscribe(ctx, orders); err != nil {
		return err
	}
	batch, err := billing.Poll(ctx)
	if err != nil {
		return err
	}
	defer batch.Release()
	for record := range batch.All() {
		fmt.Printf("%d %d %s: %s\n", record.Partition, record.Offset, record.Key, record.Value)
	}
	// After any crash, billing goes on here.
	return billing.Commit(ctx)
}

func Example() {
	dir, err := os.MkdirTemp("", "thalweg")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := program(context.Background(), dir); err != nil {
		log.Fatal(err)
	}
	// Output: 2 0 ann: two lamps
}

// withOrders runs an example on a topic of a new store.
func withOrders(function func(ctx context.Context, db *thalweg.Engine, orders *thalweg.Topic) error) {
	dir, err := os.MkdirTemp("", "thalweg")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	db, err := thalweg.Open(dir)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	orders, err := db.CreateTopic(ctx, "orders")
	if err == nil {
		err = function(ctx, db, orders)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func ExampleTopic_Append() {
	withOrders(func(ctx context.Context, db *thalweg.Engine, orders *thalweg.Topic) error {
		positions, err := orders.Append(ctx,
			thalweg.Record{Value: []byte("a lamp")},
			thalweg.Record{Value: []byte("a table"), Time: time.UnixMilli(1_700_000_000_000)},
			thalweg.Record{Value: []byte("a chair"), Headers: []thalweg.Header{{Name: "shop", Value: []byte("3")}}},
		)
		for _, at := range positions {
			fmt.Println(at.Partition, at.BaseOffset, at.Count)
		}
		return err
	})
	// Output: 0 0 3
}

func ExampleTopic_AppendBatch() {
	withOrders(func(ctx context.Context, db *thalweg.Engine, orders *thalweg.Topic) error {
		records := []thalweg.Record{{Value: []byte("all")}, {Value: []byte("or nothing")}}
		if _, err := orders.AppendBatch(ctx, records, thalweg.ToPartition(0), thalweg.ExpectOffset(0)); err != nil {
			return err
		}
		_, err := orders.AppendBatch(ctx, records, thalweg.ToPartition(0), thalweg.ExpectOffset(0))
		fmt.Println(errors.Is(err, thalweg.ErrOffsetMismatch))
		return nil
	})
	// Output: true
}

func ExampleTopic_Submit() {
	withOrders(func(ctx context.Context, db *thalweg.Engine, orders *thalweg.Topic) error {
		var tickets []*thalweg.Ticket
		for range 3 {
			ticket, err := orders.Submit(ctx, thalweg.Record{Value: []byte("in memory when it returns")})
			if err != nil {
				return err
			}
			tickets = append(tickets, ticket)
		}
		for _, ticket := range tickets {
			at, err := ticket.Wait(ctx)
			if err != nil {
				return err
			}
			fmt.Println("durable:", at.BaseOffset)
		}
		return nil
	})
	// Output:
	// durable: 0
	// durable: 1
	// durable: 2
}

func ExampleConsumer_Batches() {
	withOrders(func(ctx context.Context, db *thalweg.Engine, orders *thalweg.Topic) error {
		records := []thalweg.Record{{Value: []byte("a")}, {Value: []byte("b")}}
		if _, err := orders.Append(ctx, records...); err != nil {
			return err
		}
		consumer, err := db.Consumer(ctx, "")
		if err != nil {
			return err
		}
		defer consumer.Close()
		if err := consumer.Subscribe(ctx, orders); err != nil {
			return err
		}
		var kept []thalweg.Record
		for batch, err := range consumer.Batches(ctx) {
			if err != nil {
				return err
			}
			for record := range batch.All() {
				kept = append(kept, record.Clone())
			}
			if len(kept) == 2 {
				break
			}
		}
		fmt.Printf("%s %s\n", kept[0].Value, kept[1].Value)
		return nil
	})
	// Output: a b
}

func ExampleEngine_KeyValues() {
	withOrders(func(ctx context.Context, db *thalweg.Engine, orders *thalweg.Topic) error {
		settings, err := db.KeyValues(orders)
		if err != nil {
			return err
		}
		defer settings.Close()
		// All or none.
		err = settings.Write(ctx,
			thalweg.KeyValue{Key: []byte("currency"), Value: []byte("SEK")},
			thalweg.KeyValue{Key: []byte("rounding"), Value: []byte("2")},
		)
		if err != nil {
			return err
		}
		currency, err := settings.Get(ctx, []byte("currency"))
		fmt.Printf("%s\n", currency)
		return err
	})
	// Output: SEK
}

func ExampleCorruptError() {
	passOver := func(ctx context.Context, consumer *thalweg.Consumer, topic *thalweg.Topic, err error) error {
		var damage *thalweg.CorruptError
		if !errors.As(err, &damage) {
			return err
		}
		log.Printf("offsets %d to %d of partition %d are lost", damage.Start, damage.End, damage.Partition)
		return consumer.Seek(ctx, topic, damage.Partition, thalweg.AtOffset(damage.End))
	}
	fmt.Println(passOver(context.Background(), nil, nil, thalweg.ErrNotFound) == thalweg.ErrNotFound)
	// Output: true
}
