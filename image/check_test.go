package image

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"

	"containers/rl/storage"
	"containers/rl/storage/layers"
)

// TestHealInterrupted: a repair that is interrupted writes no records of a part of the images.
func TestHealInterrupted(t *testing.T) {
	d := storage.Dirs{Data: t.TempDir(), Run: t.TempDir()}
	img := &storage.Image{Config: []byte(`{"rootfs":{"type":"layers"}}`)}
	img.ID = digest.FromBytes(img.Config).Encoded()
	records := filepath.Join(d.Graph(), "overlay-images")
	if err := os.MkdirAll(filepath.Join(records, img.ID), 0o700); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{"images.json": "[{", img.ID + "/manifest": "{}"} {
		if err := os.WriteFile(filepath.Join(records, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c := &check{CheckOptions: CheckOptions{Dirs: d, Repair: true}}
	if err := c.heal(ctx, layers.BrokenRecords(d), []*storage.Image{img}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if len(layers.BrokenRecords(d)) != 1 {
		t.Error("the records were written")
	}
	if err := c.heal(context.Background(), layers.BrokenRecords(d), []*storage.Image{img}); err != nil {
		t.Error(err)
	}
	if r, err := layers.ReadRecords(d); err != nil || len(r.Images) != 1 {
		t.Errorf("%d records: %v", len(r.Images), err)
	}
}
