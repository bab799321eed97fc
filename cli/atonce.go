package cli

// mostAtOnce is docker's bound of what is done side by side.
const mostAtOnce = 50

// atOnce begins to do n things side by side. The function that it returns waits
// for the end of one of them and gives its error.
func atOnce(n int, do func(int) error) (result func(int) error) {
	ends, slots := make([]chan error, n), make(chan struct{}, mostAtOnce)
	for i := range ends {
		ends[i] = make(chan error, 1)
	}
	go func() {
		for i, end := range ends {
			slots <- struct{}{}
			go func() {
				end <- do(i)
				<-slots
			}()
		}
	}()
	return func(i int) error { return <-ends[i] }
}
