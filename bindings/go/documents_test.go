package thalweg_test

import (
	"errors"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
)

// Code of Go in the documents stands in the examples, which are compiled and run.
func TestDocumentsShowWhatRuns(t *testing.T) {
	squeeze := func(text string) string { return strings.Join(strings.Fields(text), " ") }
	examples := squeeze(string(must[[]byte](t)(os.ReadFile("example_test.go"))))
	blocks := 0
	for _, name := range []string{"README.md", "../../README.md"} {
		content, err := os.ReadFile(name)
		if name != "README.md" && errors.Is(err, fs.ErrNotExist) {
			// The module may lie outside of the repository.
			continue
		}
		check(t, err)
		for _, block := range regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(content), -1) {
			blocks++
			if !strings.Contains(examples, squeeze(block[1])) {
				t.Errorf("%s: this is not among the examples:\n%s", name, block[1])
			}
		}
	}
	if blocks == 0 {
		t.Error("no document has an example")
	}
}
