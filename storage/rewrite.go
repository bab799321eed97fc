package storage

import "path"

// Rewrite replaces the record of a container that is there by what edit gives,
// which is called while nobody else changes a record or a name: what it reads
// is what is replaced.
func (d Dirs) Rewrite(e Entry, edit func() ([]byte, error)) error {
	unlock, err := d.lockNames()
	if err != nil {
		return err
	}
	defer unlock()
	e = e.standing()
	record, err := edit()
	if err != nil {
		return err
	}
	return replace(path.Join(e.Dir, RecordFile), func(tmp string) error { return writeLasting(tmp, record) })
}
