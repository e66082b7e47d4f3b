package report

import (
	"fmt"
	"io"
	"reflect"

	"github.com/parquet-go/parquet-go"
)

// WriteParquet writes the rows and columns of WriteCSV as Apache Parquet.
// What a result does not have is null.
func WriteParquet(w io.Writer, f *Folder) error {
	columns := flatColumns(f.Records)
	out := parquet.NewWriter(w, parquetSchema(columns), parquet.Compression(&parquet.Snappy))
	row := make(parquet.Row, len(columns))
	for _, r := range sorted(f.Records) {
		for i, c := range columns {
			if v := c.of(r); v != nil {
				row[i] = parquet.ValueOf(v).Level(0, 1, i)
			} else {
				row[i] = parquet.NullValue().Level(0, 0, i)
			}
		}
		if _, err := out.WriteRows([]parquet.Row{row}); err != nil {
			return fmt.Errorf("parquet: %w", err)
		}
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("parquet: %w", err)
	}
	return nil
}

// parquetSchema has the columns in their order, each optional. A Go struct
// made for the purpose keeps the order; parquet.Group would sort it.
func parquetSchema(columns []column) *parquet.Schema {
	fields := make([]reflect.StructField, len(columns))
	for i, c := range columns {
		fields[i] = reflect.StructField{
			Name: fmt.Sprintf("Column%d", i),
			Type: reflect.PointerTo(c.typ),
			Tag:  reflect.StructTag(fmt.Sprintf(`parquet:%q`, c.name+",optional")),
		}
	}
	return parquet.NewSchema("result", parquet.SchemaOf(reflect.Zero(reflect.StructOf(fields)).Interface()))
}
