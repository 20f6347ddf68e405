// Package sample has one symbol of each kind.
package sample

import "context"

const Limit = 10

var Default Kind = "usual"

type Kind string

type Source func(ctx context.Context, again bool) (Kind, error)

type Alias = Kind

type Config struct {
	Name   string
	hidden int
}

func New(cfg Config, more ...string) (*Config, error) { return &cfg, nil }

func (c Config) Copy() Config       { return c }
func (c *Config) Rename(to string)  { c.Name = to }
func (c *Config) private(by string) { c.hidden = len(by) }

type Waiter interface {
	Wait(ctx context.Context) error
}

type SharedWaiter interface {
	Waiter
	Told()
}

type unexported struct{ Visible int }

func (unexported) Method() {}
