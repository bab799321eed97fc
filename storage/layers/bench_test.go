package layers

import (
	"fmt"
	"testing"
)

// BenchmarkLayer is the price of one small layer above that of its unpacking.
func BenchmarkLayer(b *testing.B) {
	s, err := Open(testDirs(b.TempDir()))
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		if _, err := commit(s, "", fmt.Sprint(i)); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkOpen opens and closes a store of a hundred images.
func BenchmarkOpen(b *testing.B) {
	d := testDirs(b.TempDir())
	s, err := Open(d)
	if err != nil {
		b.Fatal(err)
	}
	for i := range 100 {
		img, err := pull(s, fmt.Sprint("image", i), "base", fmt.Sprint("top", i))
		if err != nil {
			b.Fatal(err)
		}
		img.Close()
	}
	for b.Loop() {
		if err = s.Close(); err == nil {
			s, err = Open(d)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}
