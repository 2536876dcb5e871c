//go:build thalweg_dynamic

package thalweg

// #cgo pkg-config: thalweg
import "C"
