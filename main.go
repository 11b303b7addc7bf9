// Nodepush collects host and container metrics, keeps them on disk and pushes
// them by Prometheus remote write. See package agent.
package main

import (
	"os"

	"nodepush/agent"
)

func main() { os.Exit(agent.Main(os.Args[1:], os.Stdout, os.Stderr)) }
