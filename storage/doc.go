// Package storage keeps what rl has on disk: where the directories are, which
// image a name stands for, and the directory of every container.
//
// It is the part that a start goes through, so it is small: looking up an image
// opens, locks and reads one file. The layers themselves live in
// containers/storage, written by the sub package layers only.
package storage
