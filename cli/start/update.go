package start

import (
	"containers/rl/cli/flags"
	"containers/rl/container"
)

// Update are the flags of update: those of run that can be changed afterwards
// (podman-update(1), docker-update(1)).
type Update struct {
	run   Run
	flags *flags.Set
}

// NewUpdate declares them.
func NewUpdate(f *flags.Set) *Update {
	u := &Update{flags: f}
	u.run.flags = f
	u.run.limits.flags(f)
	f.StringVar(&u.run.restart, "restart", "", "no|on-failure[:MOST]|always|unless-stopped")
	u.run.health.flags(f)
	return u
}

// LimitFlags declares the flags of resources; parse gives nil when none was given.
func LimitFlags(f *flags.Set) (parse func() (*container.Limits, error)) {
	l := &limits{}
	l.flags(f)
	return l.parse
}

// Parse gives what is to be changed; nil limits are to stay.
func (u *Update) Parse() (change func(*container.Options), limits *container.Limits, err error) {
	o := &u.run
	if limits, err = o.limits.parse(); err != nil {
		return nil, nil, err
	}
	policy := u.flags.Changed("restart")
	if policy {
		if err := o.checkPolicy(); err != nil {
			return nil, nil, err
		}
	}
	check, err := o.health.parse()
	if err != nil {
		return nil, nil, err
	}
	return func(to *container.Options) {
		if policy {
			to.Restart, to.RestartMax = o.Restart, o.RestartMax
		}
		if check != nil {
			to.Health = check
		}
	}, limits, nil
}
