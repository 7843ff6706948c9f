// GeoJSON (RFC 7946) as QuPath imports and exports it: features with a classification, measurements and coordinates in
// pixels of level 0. A ring's last point repeats its first in the file, and not here.
using System.Text;
using System.Text.Json;

namespace EpSam.Imaging.Annotations;

/// <summary>Reads and writes QuPath's GeoJSON.</summary>
public static class GeoJson
{
    const int Deepest = 64;
    const int Pending = 1 << 16; // bytes that wait for the stream

    /// <summary>All features of a file.</summary>
    /// <exception cref="AnnotationException">It is not GeoJSON, or a geometry in it is impossible.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static IReadOnlyList<Annotation> Read(string path)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(Content(path), new() { MaxDepth = Deepest });
            JsonElement root = document.RootElement;
            IEnumerable<JsonElement> features = root.ValueKind == JsonValueKind.Array ? root.EnumerateArray()
                : Text(root, "type") == "FeatureCollection" ? Need(root, "features").EnumerateArray()
                : [root];
            return [.. features.Select((f, i) => Parse(f, $"{path}, feature {i}"))];
        }
        catch (JsonException e)
        {
            throw new AnnotationException($"{path}: not JSON that can be read: {e.Message}", e);
        }
        catch (InvalidOperationException e)
        {
            throw new AnnotationException($"{path}: not GeoJSON: {e.Message}", e);
        }
    }

    /// <summary>
    /// Writes a FeatureCollection of all annotations with areas or points; <paramref name="colours"/> gives a class its
    /// colour (0xRRGGBB).
    /// </summary>
    public static void Write(Stream stream, IEnumerable<Annotation> annotations, Func<string, int>? colours = null)
    {
        using Utf8JsonWriter json = new(stream);
        json.WriteStartObject();
        json.WriteString("type", "FeatureCollection");
        json.WriteStartArray("features");
        foreach (Annotation annotation in annotations)
        {
            Write(json, annotation, colours);
            if (json.BytesPending > Pending) json.Flush();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    static void Write(Utf8JsonWriter json, Annotation annotation, Func<string, int>? colours)
    {
        json.WriteStartObject();
        json.WriteString("type", "Feature");
        json.WriteStartObject("geometry");
        bool isOne = annotation.Polygons.Count == 1;
        if (annotation.Polygons.Count > 0)
        {
            json.WriteString("type", isOne ? "Polygon" : "MultiPolygon");
            json.WriteStartArray("coordinates");
            foreach (SlidePolygon polygon in annotation.Polygons)
            {
                if (!isOne) json.WriteStartArray();
                foreach (IReadOnlyList<SlidePoint> ring in polygon.Rings) Line(json, [.. ring, ring[0]]);
                if (!isOne) json.WriteEndArray();
            }
            json.WriteEndArray();
        }
        else
        {
            json.WriteString("type", annotation.Kind == AnnotationKind.Line ? "LineString" : "MultiPoint");
            json.WritePropertyName("coordinates");
            Line(json, annotation.Points);
        }
        json.WriteEndObject();
        json.WriteStartObject("properties");
        json.WriteString("objectType", "annotation");
        if (annotation.Name.Length > 0) json.WriteString("name", annotation.Name);
        if (annotation.Group is not ("" or "None"))
        {
            json.WriteStartObject("classification");
            json.WriteString("name", annotation.Group);
            if (colours?.Invoke(annotation.Group) is int rgb)
            {
                json.WriteStartArray("color");
                for (int shift = 16; shift >= 0; shift -= 8) json.WriteNumberValue((rgb >> shift) & 255);
                json.WriteEndArray();
            }
            json.WriteEndObject();
        }
        if (annotation.Measurements.Count > 0)
        {
            json.WriteStartObject("measurements");
            foreach ((string name, double value) in annotation.Measurements) json.WriteNumber(name, value);
            json.WriteEndObject();
        }
        json.WriteEndObject();
        json.WriteEndObject();
    }

    static void Line(Utf8JsonWriter json, IEnumerable<SlidePoint> points)
    {
        json.WriteStartArray();
        foreach (SlidePoint point in points)
        {
            json.WriteStartArray();
            json.WriteNumberValue(point.X);
            json.WriteNumberValue(point.Y);
            json.WriteEndArray();
        }
        json.WriteEndArray();
    }

    internal static Annotation Parse(JsonElement feature, string name)
    {
        try
        {
            JsonElement geometry = Text(feature, "type") == "Feature" ? Need(feature, "geometry") : feature;
            JsonElement properties = feature.TryGetProperty("properties", out JsonElement given)
                && given.ValueKind == JsonValueKind.Object ? given : default;
            (AnnotationKind kind, List<SlidePolygon> polygons, List<SlidePoint> points) = Shape(geometry, name);
            return new Annotation(Text(properties, "name"), kind, Group(properties), polygons, points)
            {
                Measurements = Measurements(properties),
            };
        }
        catch (InvalidOperationException e)
        {
            throw new AnnotationException($"{name}: not a GeoJSON feature: {e.Message}", e);
        }
    }

    static (AnnotationKind Kind, List<SlidePolygon> Areas, List<SlidePoint> Points) Shape(JsonElement geometry,
        string name)
    {
        if (geometry.ValueKind == JsonValueKind.Null) return (AnnotationKind.Polygon, [], []); // nowhere
        string type = Text(geometry, "type");
        JsonElement inside = Need(geometry, type == "GeometryCollection" ? "geometries" : "coordinates");
        return type switch
        {
            "Polygon" => (AnnotationKind.Polygon, inside.GetArrayLength() == 0 ? [] : [Polygon(inside, name)], []),
            "MultiPolygon" =>
                (AnnotationKind.Polygon, [.. inside.EnumerateArray().Select(p => Polygon(p, name))], []),
            "Point" => (AnnotationKind.Dot, [], [Point(inside)]),
            "MultiPoint" => (AnnotationKind.PointSet, [], Points(inside)),
            "LineString" => (AnnotationKind.Line, [], Points(inside)),
            "MultiLineString" => (AnnotationKind.Line, [], [.. inside.EnumerateArray().SelectMany(Points)]),
            "GeometryCollection" => Together([.. inside.EnumerateArray().Select(g => Shape(g, name))]),
            _ => throw new AnnotationException($"{name}: geometry '{type}' is not read"),
        };
    }

    // What has areas is its areas.
    static (AnnotationKind, List<SlidePolygon>, List<SlidePoint>) Together(
        (AnnotationKind Kind, List<SlidePolygon> Areas, List<SlidePoint> Points)[] parts)
    {
        List<SlidePolygon> areas = [.. parts.SelectMany(p => p.Areas)];
        return areas.Count > 0 ? (AnnotationKind.Polygon, areas, [])
            : (AnnotationKind.PointSet, [], [.. parts.SelectMany(p => p.Points)]);
    }

    static string Group(JsonElement properties) =>
        properties.ValueKind == JsonValueKind.Object
        && properties.TryGetProperty("classification", out JsonElement group) ? ClassOf(group) : "None";

    // QuPath's classes may be derived from others, as "Tumor: Positive": a list of names since 0.4, before it a parent.
    static string ClassOf(JsonElement group)
    {
        if (group.ValueKind == JsonValueKind.String) return group.GetString()!;
        if (group.ValueKind != JsonValueKind.Object) return "None";
        if (group.TryGetProperty("names", out JsonElement names))
            return string.Join(": ", names.EnumerateArray().Select(n => n.GetString()));
        string above = group.TryGetProperty("parentClass", out JsonElement parent) ? ClassOf(parent) : "None";
        return above is "" or "None" ? Text(group, "name") : $"{above}: {Text(group, "name")}";
    }

    static Dictionary<string, double> Measurements(JsonElement properties)
    {
        Dictionary<string, double> measurements = [];
        if (properties.ValueKind != JsonValueKind.Object
            || !properties.TryGetProperty("measurements", out JsonElement given)) return measurements;
        if (given.ValueKind != JsonValueKind.Object) return measurements; // QuPath 0.2 had a list here
        foreach (JsonProperty one in given.EnumerateObject())
            if (one.Value.ValueKind == JsonValueKind.Number) measurements[one.Name] = one.Value.GetDouble();
        return measurements;
    }

    static SlidePolygon Polygon(JsonElement rings, string name)
    {
        List<IReadOnlyList<SlidePoint>> all = [];
        foreach (JsonElement ring in rings.EnumerateArray())
        {
            List<SlidePoint> points = Points(ring);
            if (points.Count > 1 && points[0] == points[^1]) points.RemoveAt(points.Count - 1);
            if (points.Count < 3)
                throw new AnnotationException($"{name}: a ring of {points.Count} points; an area has at least 3");
            all.Add(points);
        }
        return all.Count > 0 ? new SlidePolygon(all[0], all[1..])
            : throw new AnnotationException($"{name}: a polygon without a ring");
    }

    static List<SlidePoint> Points(JsonElement list) => [.. list.EnumerateArray().Select(Point)];

    static SlidePoint Point(JsonElement pair) => pair.GetArrayLength() >= 2
        ? new SlidePoint(Coordinate(pair[0]), Coordinate(pair[1]))
        : throw new InvalidOperationException("a position of fewer than two numbers");

    static double Coordinate(JsonElement number) => Math.Abs(number.GetDouble()) <= SlidePoint.Farthest
        ? number.GetDouble() : throw new InvalidOperationException($"{number.GetRawText()} is no coordinate");

    static JsonElement Need(JsonElement of, string name) => of.TryGetProperty(name, out JsonElement value)
        ? value : throw new InvalidOperationException($"'{name}' is missing");

    // The file without a mark of its encoding. QuPath writes measurements that are no number by name, which JSON does
    // not have: they become empty texts.
    static ReadOnlyMemory<byte> Content(string path)
    {
        byte[] json = File.ReadAllBytes(path);
        bool isText = false;
        for (int i = 0; i < json.Length; i++)
        {
            if (json[i] == '"') isText = !isText;
            else if (isText && json[i] == '\\') i++;
            else if (!isText && json[i] is (byte)'N' or (byte)'I' or (byte)'-')
            {
                Span<byte> rest = json.AsSpan(i);
                int length = rest.StartsWith("NaN"u8) ? 3 : rest.StartsWith("Infinity"u8) ? 8
                    : rest.StartsWith("-Infinity"u8) ? 9 : 0;
                if (length == 0) continue;
                rest[..length].Fill((byte)' ');
                (rest[0], rest[1]) = ((byte)'"', (byte)'"');
                i += length - 1;
            }
        }
        return json.AsMemory(json.AsSpan().StartsWith(Encoding.UTF8.Preamble) ? Encoding.UTF8.Preamble.Length : 0);
    }

    static string Text(JsonElement of, string name) =>
        of.ValueKind == JsonValueKind.Object && of.TryGetProperty(name, out JsonElement value)
        && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
}
