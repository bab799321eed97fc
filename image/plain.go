package image

import "io"

// Decompressed reads what a compressed archive holds, by its first bytes; one
// that is not compressed as it is.
func Decompressed(r io.Reader) (io.ReadCloser, error) { return inflate(r, "") }
