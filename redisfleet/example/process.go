package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"time"
)

// process is a child of this program in another role. It ends when its stdin
// ends, so it never outlives this program.
type process struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	stdout *json.Decoder
}

// startProcess starts this program with more environment variables.
func startProcess(ctx context.Context, environment []string, args ...string) (*process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return startProgram(ctx, program, environment, args...)
}

func startProgram(ctx context.Context, program string, environment []string, args ...string) (*process, error) {
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // it is this program, except in a test
	cmd.Env = append(os.Environ(), environment...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &process{cmd, stdin, json.NewDecoder(stdout)}, nil
}

// read reads the next value that the process prints.
func (p *process) read(value any) error { return p.stdout.Decode(value) }

// stop ends the process.
func (p *process) stop() {
	_ = p.stdin.Close()
	_ = p.cmd.Wait()
}
