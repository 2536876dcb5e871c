module example.invalid/thalweg/bindings/go

go 1.24
