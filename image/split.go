package image

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// splitEntry is a line of what containers/storage keeps of a layer's archive
// (github.com/vbatts/tar-split, tar/storage): bytes as they are, or a file whose
// content follows.
//
//	{"type":2,"payload":"BASE64"}
//	{"type":1,"name":"./bin/sh","size":1204,"payload":"CRC64","position":3}
type splitEntry struct {
	Type    int    `json:"type"`
	Name    string `json:"name"`
	RawName []byte `json:"name_raw"` // instead, when it is no UTF-8
	Size    int64  `json:"size"`
	Payload []byte `json:"payload"`
}

const (
	splitFile    = 1
	splitSegment = 2
)

// rebuildSplit is Rebuild for such a description. The checksums in it are passed
// over: the digest of the whole is what counts.
func rebuildSplit(ctx context.Context, w io.Writer, split io.Reader, files fileContent) error {
	z, err := gzip.NewReader(split)
	if err != nil {
		return fmt.Errorf("reading the description of a layer: %w", err)
	}
	entries := json.NewDecoder(bufio.NewReaderSize(z, frameChunk))
	for {
		var e splitEntry
		err := entries.Decode(&e)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("reading the description of a layer: %w", err)
		}
		switch {
		case e.Type == splitSegment:
			_, err = w.Write(e.Payload)
		case e.Type != splitFile || e.Size < 0:
			err = fmt.Errorf("unknown entry %d in the description of a layer", e.Type)
		case e.Size > 0:
			name := e.Name
			if len(e.RawName) > 0 {
				name = string(e.RawName)
			}
			err = files(w, name, e.Size)
		}
		if err != nil {
			return err
		}
	}
}
