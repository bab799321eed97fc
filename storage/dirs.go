package storage

// Dirs are the directories of one user.
type Dirs struct {
	Data string // images, layers and containers
	Run  string // what does not outlive the session
}
