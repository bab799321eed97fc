package storage

import (
	"os"
	"path"
)

// WriteRecord replaces the record of a container that is there.
func (e Entry) WriteRecord(record []byte) error {
	return replace(path.Join(e.Dir, RecordFile), func(tmp string) error { return os.WriteFile(tmp, record, 0o600) })
}
