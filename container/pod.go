package container

// Membership is a container's part in a pod.
type Membership struct {
	ID    string // the pod's
	Infra bool   `json:",omitzero"` // it holds the pod's namespaces
	Pause bool   `json:",omitzero"` // its program is ours, and waits
	Ends  bool   `json:",omitzero"` // the pod ends with the last of its other containers
}

// pauses says whether the program is the pause of a pod.
func (o *Options) pauses() bool { return o.Pod != nil && o.Pod.Pause }
