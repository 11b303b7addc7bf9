package agent

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"nodepush/collector"
	"nodepush/view"
)

// Exit statuses.
const (
	exitOK      = 0
	exitFailure = 1 // the work could not be done, or not all of it
	exitUsage   = 2 // the command line was not understood
)

// flags is the command line.
type flags struct {
	config, level, format string
	collectors            string
	length                time.Duration
	paths                 collector.Paths
}

// Main runs the command line args (without the program's name) and returns
// the exit status. It takes over SIGINT, SIGTERM, SIGHUP and SIGPIPE.
func Main(args []string, stdout, stderr io.Writer) int {
	// First of all: a SIGHUP that comes before its handler is there would end
	// the service, and a SIGPIPE `once | head`. SIGINT and SIGTERM end the
	// process by themselves until there is something to stop in order.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP)
	signal.Ignore(syscall.SIGPIPE)
	defer signal.Stop(signals)
	oneCPU()

	var f flags
	command, err := parse(application(&f), args, stdout, stderr)
	switch {
	case errors.Is(err, errAnswered):
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "nodepush: %v; try --help\n", err)
		return exitUsage
	}
	switch command {
	case "run":
		err = f.run(stderr, signals)
	case "check":
		err = f.check(stdout, stderr)
	case "once":
		err = f.once(stdout, stderr)
	case "demo":
		err = f.demo(stdout, stderr, signals)
	}
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintln(stderr, "nodepush:", strings.TrimSuffix(line, "\n"))
		}
		return exitFailure
	}
	return exitOK
}

// oneCPU keeps the program on one CPU at a time unless GOMAXPROCS says
// otherwise. A round is short: waking other CPUs for its parts costs more than
// it gains, and an agent that catches up leaves the host the other CPUs.
func oneCPU() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
}

// errAnswered says that --help or --version has been printed.
var errAnswered = errors.New("answered")

// parse returns the command that args ask for. Kingpin wants to end the process
// after --help and --version; a panic is the only other way out of it.
func parse(app *kingpin.Application, args []string, stdout, stderr io.Writer) (command string, err error) {
	type terminated struct{}
	app.UsageWriter(stdout).ErrorWriter(stderr).Terminate(func(int) { panic(terminated{}) })
	defer func() {
		switch p := recover(); p {
		case nil:
		case terminated{}:
			err = errAnswered
		default:
			panic(p)
		}
	}()
	// Kingpin takes flags without a command for a cry for help, and that for a success.
	context, err := app.ParseContext(args)
	if err == nil && context.SelectedCommand == nil && !slices.ContainsFunc(args, asksForHelp) {
		return "", errors.New("a command is missing: run, check, once or demo")
	}
	return app.Parse(args)
}

func asksForHelp(arg string) bool {
	return arg == "-h" || strings.HasPrefix(arg, "--help") || strings.HasPrefix(arg, "--version") || strings.HasPrefix(arg, "--completion")
}

// application describes the command line.
func application(f *flags) *kingpin.Application {
	app := kingpin.New("nodepush", "Collects host metrics as node_exporter does, keeps them on disk and pushes them by Prometheus remote write.")
	app.Version(readBuild().String())
	app.HelpFlag.Short('h')
	app.Flag("log.level", "Least severe messages to log: debug, info, warn, error. Default: info for run, warn for demo, else error.").
		PlaceHolder("LEVEL").EnumVar(&f.level, "debug", "info", "warn", "error")
	app.Flag("log.format", "Form of log lines: logfmt, json.").Default("logfmt").EnumVar(&f.format, "logfmt", "json")
	app.Flag("path.procfs", "Where procfs is mounted.").Default("/proc").StringVar(&f.paths.Procfs)
	app.Flag("path.sysfs", "Where sysfs is mounted.").Default("/sys").StringVar(&f.paths.Sysfs)
	app.Flag("path.rootfs", "Where the host's root is mounted; mount points are shown without it.").Default("/").StringVar(&f.paths.Rootfs)
	app.Flag("path.udev.data", "Where udev keeps its data.").Default("/run/udev/data").StringVar(&f.paths.UdevData)
	app.Flag("path.runfs", "Where /run of the host is mounted.").Default("/run").StringVar(&f.paths.Runfs)

	run := app.Command("run", "Run the service. SIGHUP reloads the configuration.")
	run.Flag("config.file", "Configuration file.").Required().PlaceHolder("FILE").StringVar(&f.config)
	check := app.Command("check", "Check a configuration file without touching the network.")
	check.Flag("config.file", "Configuration file.").Required().PlaceHolder("FILE").StringVar(&f.config)
	once := app.Command("once", "Make one round and print it in the Prometheus text format.")
	once.Flag("config.file", "Configuration file. Without one every collector runs with its defaults.").PlaceHolder("FILE").StringVar(&f.config)
	once.Flag("collectors", "Run only these collectors: names with commas between.").PlaceHolder("NAME,...").StringVar(&f.collectors)
	demo := app.Command("demo", "Watch the agent push this host's metrics to a receiver within the process: live on a terminal, as lines elsewhere. Needs no set-up, leaves nothing behind.")
	demo.Flag("for", "End after this time; 0s: with Ctrl-C.").Default("0s").DurationVar(&f.length)
	return app
}

// logger writes to w at the level of the flag, or the command's own.
func (f *flags) logger(w io.Writer, level string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(cmp.Or(f.level, level))); err != nil {
		panic("agent: log level " + err.Error()) // the flag allows no other
	}
	o := &slog.HandlerOptions{Level: l}
	if f.format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// load reads and checks the configuration file, the collectors' settings included.
func (f *flags) load() (*Config, []Warning, error) {
	return LoadConfigBelow(f.config, f.paths.Rootfs)
}

// run is the service.
func (f *flags) run(stderr io.Writer, signals chan os.Signal) error {
	log := f.logger(stderr, "info")
	c, warnings, err := f.load()
	if err != nil {
		return problems(stderr, warnings, err)
	}
	logProblems(log, warnings, nil)
	a := newAgent(f.paths, f.load, log)
	a.counts.loaded(true, time.Now())
	log.Info("start", "version", a.build.version, "revision", a.build.revision, "go", a.build.goVersion)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	err = a.run(c, signals)
	if err == nil {
		log.Info("stopped")
	}
	return err
}

// check prints every problem of a configuration file.
func (f *flags) check(stdout, stderr io.Writer) error {
	_, warnings, err := f.load()
	if err := problems(stderr, warnings, err); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s: ok\n", f.config)
	return err
}

// problems prints warnings and problems as FILE:LINE: key: text.
func problems(stderr io.Writer, warnings []Warning, err error) error {
	for _, w := range warnings {
		fmt.Fprintln(stderr, "warning:", w)
	}
	all := flatten(err)
	for _, e := range all {
		fmt.Fprintln(stderr, e)
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return errors.New("the configuration has a problem")
	}
	return fmt.Errorf("the configuration has %d problems", len(all))
}

// once prints one round.
func (f *flags) once(stdout, stderr io.Writer) error {
	c := DefaultConfig()
	if f.config != "" {
		var warnings []Warning
		var err error
		if c, warnings, err = f.load(); err != nil {
			return problems(stderr, warnings, err)
		}
	}
	if f.collectors != "" {
		if err := restrict(c, f.collectors); err != nil {
			return err
		}
	}
	return newAgent(f.paths, f.load, f.logger(stderr, "error")).once(c, stdout)
}

// demo shows the whole way of a sample.
func (f *flags) demo(stdout, stderr io.Writer, signals chan os.Signal) error {
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	held := view.NewHeldLog(stderr)
	return demo(stdout, f.paths, held, f.logger(held, "warn"), signals, f.length)
}
