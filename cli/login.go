package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/term"

	"containers/rl/cli/flags"
	"containers/rl/image"
)

// loginCommand are the flags of login.
type loginCommand struct {
	image.Access
	user, password           string
	stdin, getLogin, verbose bool
	hasUser, hasPassword     bool
	registry, compatible     string
}

func loginFlags(f *flags.Set) func(Streams, []string) error {
	c := &loginCommand{}
	f.StringVar(&c.AuthFile, "authfile", "", "file to keep the credentials in, instead of auth.json")
	f.StringVar(&c.CertDir, "cert-dir", "", "directory of certificates")
	f.StringVar(&c.compatible, "compat-auth-file", "", "docker's config.json to keep the credentials in")
	f.StringVarP(&c.user, "username", "u", "", "user")
	f.StringVarP(&c.password, "password", "p", "", "password; everyone on the host can see it: --password-stdin is better")
	f.BoolVar(&c.stdin, "password-stdin", false, "read the password from standard input")
	f.BoolVar(&c.getLogin, "get-login", false, "print the user that is logged in")
	f.BoolVarP(&c.verbose, "verbose", "v", false, "say where the credentials are kept")
	verify := f.Bool("tls-verify", true, "verify the registry's certificate and demand https")
	return func(s Streams, args []string) error {
		if len(args) > 1 {
			return usageError{Text: "login takes one registry at most", Command: "login"}
		}
		if f.Changed("tls-verify") {
			c.TLSVerify = verify
		}
		if c.compatible != "" {
			c.AuthFile = c.compatible
		}
		c.hasUser, c.hasPassword = f.Changed("username"), f.Changed("password")
		registry := strings.Join(args, "")
		key, err := image.RegistryKey(registry, c.Access)
		if err != nil {
			return usageError{Text: err.Error(), Command: "login"}
		}
		c.registry = key
		return c.login(s)
	}
}

func (c *loginCommand) login(s Streams) error {
	known, secret, err := c.Who(c.registry)
	if err != nil && !errors.Is(err, image.ErrNotLoggedIn) {
		return err
	}
	switch {
	case c.getLogin && err != nil:
		return err
	case c.getLogin:
		_, err := fmt.Fprintln(s.Out, known)
		return err
	case c.stdin && c.hasPassword:
		return usageError{Text: "can't specify both --password-stdin and --password", Command: "login"}
	case c.stdin && !c.hasUser:
		return usageError{Text: "must provide --username with --password-stdin", Command: "login"}
	case known != "" && !c.stdin && !c.hasPassword && (!c.hasUser || c.user == known):
		fmt.Fprintf(s.Out, "Authenticating with existing credentials for %s\n", c.registry)
		if _, err := c.Login(context.Background(), c.registry, known, secret); err == nil {
			_, err := fmt.Fprintf(s.Out, "Existing credentials are valid. Already logged in to %s\n", c.registry)
			return err
		}
		fmt.Fprintln(s.Out, "Existing credentials are invalid, please enter valid username and password")
	}
	if err := c.ask(s, known); err != nil {
		return fmt.Errorf("getting username and password: %w", err)
	}
	kept, err := c.Login(context.Background(), c.registry, c.user, c.password)
	if err != nil {
		return err
	}
	if c.verbose {
		fmt.Fprintf(s.Out, "Used: %s\n", kept)
	}
	_, err = fmt.Fprintln(s.Out, "Login Succeeded!")
	return err
}

// ask for what was not given.
func (c *loginCommand) ask(s Streams, known string) error {
	if c.stdin {
		text, err := io.ReadAll(io.LimitReader(s.In, 1<<20))
		c.password = strings.TrimRight(string(text), "\r\n")
		return err
	}
	if c.user == "" {
		offer := ""
		if known != "" {
			offer = " (" + known + ")"
		}
		fmt.Fprintf(s.Err, "Username%s: ", offer)
		line, err := oneLine(s.In)
		if err != nil {
			return fmt.Errorf("reading username: %w", err)
		}
		if c.user = strings.TrimSpace(line); c.user == "" {
			c.user = known
		}
	}
	if c.hasPassword {
		return nil
	}
	if !term.IsTerminal(int(s.In.Fd())) {
		fmt.Fprint(s.Err, "Password: ")
		return errors.New("reading password: standard input is no terminal: give --password-stdin")
	}
	var err error
	c.password, err = askPassword(s)
	return err
}

// oneLine reads a line and no more: the password follows.
func oneLine(r io.Reader) (string, error) {
	line, err := bufio.NewReaderSize(io.LimitReader(byteByByte{r}, 4096), 16).ReadString('\n')
	if errors.Is(err, io.EOF) && line != "" {
		err = nil
	}
	return line, err
}

type byteByByte struct{ io.Reader }

func (b byteByByte) Read(p []byte) (int, error) { return b.Reader.Read(p[:min(1, len(p))]) }

func logoutFlags(f *flags.Set) func(Streams, []string) error {
	a := image.Access{}
	f.StringVar(&a.AuthFile, "authfile", "", "file with the credentials, instead of auth.json")
	compatible := f.String("compat-auth-file", "", "docker's config.json with the credentials")
	all := f.BoolP("all", "a", false, "of all registries")
	return func(s Streams, args []string) error {
		if len(args) > 1 || *all && len(args) > 0 {
			return usageError{Text: "logout takes one registry, or --all", Command: "logout"}
		}
		if *compatible != "" {
			a.AuthFile = *compatible
		}
		if *all {
			if err := a.Logout(""); err != nil {
				return err
			}
			_, err := fmt.Fprintln(s.Out, "Removed login credentials for all registries")
			return err
		}
		registry := strings.Join(args, "")
		key, err := image.RegistryKey(registry, a)
		if err != nil {
			return usageError{Text: err.Error(), Command: "logout"}
		}
		err = a.Logout(key)
		if errors.Is(err, image.ErrDockers) { // podman's words, and its status
			_, err = fmt.Fprintf(s.Out, "Not logged into %s with current tool. Existing credentials were established via docker login. Please use docker logout instead.\n", key)
			return err
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(s.Out, "Removed login credentials for %s\n", key)
		return err
	}
}
