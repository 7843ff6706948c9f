// ASAP's annotation files, as CAMELYON ships them. Points are put in order of their Order; coordinates may have been
// written with a decimal comma (ASAP follows the system's language); they are written with a point. No DTD is read:
// nothing outside the file is opened.
using System.Globalization;
using System.Xml;

namespace EpSam.Imaging.Annotations;

/// <summary>Reads and writes ASAP's XML.</summary>
public static class AsapXml
{
    const long MostCharacters = 1L << 30;

    /// <summary>All annotations of a file, in the file's order.</summary>
    /// <exception cref="AnnotationException">It is not ASAP's XML, or a value in it is impossible.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static IReadOnlyList<Annotation> Read(string path)
    {
        using FileStream file = File.OpenRead(path);
        return Read(file, path);
    }

    /// <summary>The same from a stream; <paramref name="name"/> is for messages.</summary>
    public static IReadOnlyList<Annotation> Read(Stream stream, string name)
    {
        XmlReaderSettings settings = new()
        {
            DtdProcessing = DtdProcessing.Prohibit, XmlResolver = null, MaxCharactersInDocument = MostCharacters,
        };
        try
        {
            using XmlReader reader = XmlReader.Create(stream, settings);
            reader.MoveToContent();
            if (reader.LocalName != "ASAP_Annotations")
            {
                throw new AnnotationException(
                    $"{name}: the outermost element is {reader.LocalName}, expected ASAP_Annotations");
            }
            List<Annotation> annotations = [];
            bool isAmongThem = false;
            while (reader.Read())
            {
                if (reader.NodeType != XmlNodeType.Element) continue;
                if (reader.Depth == 1) isAmongThem = reader.LocalName == "Annotations";
                else if (isAmongThem && reader.Depth == 2 && reader.LocalName == "Annotation")
                    annotations.Add(Parse(reader, name));
            }
            return annotations;
        }
        catch (XmlException e)
        {
            throw new AnnotationException($"{name}: not XML that can be read: {e.Message}", e);
        }
    }

    /// <summary>
    /// Writes annotations; an area of several polygons becomes as many. What is read again is equal to the bit.
    /// </summary>
    /// <exception cref="ArgumentException">A polygon has holes or a line is among them: ASAP has neither.</exception>
    public static void Write(Stream stream, IReadOnlyList<Annotation> annotations)
    {
        XmlWriterSettings settings = new()
        {
            Encoding = new System.Text.UTF8Encoding(false), Indent = true, IndentChars = "\t", NewLineChars = "\n",
        };
        using XmlWriter xml = XmlWriter.Create(stream, settings);
        xml.WriteStartElement("ASAP_Annotations");
        xml.WriteStartElement("Annotations");
        foreach (Annotation annotation in annotations)
            foreach (IReadOnlyList<SlidePoint> ring in Rings(annotation)) Write(xml, annotation, ring);
        xml.WriteEndElement();
        xml.WriteStartElement("AnnotationGroups");
        foreach (string group in annotations.Select(Group).Where(g => g != NoGroup).Distinct())
        {
            Start(xml, "Group", ("Name", group), ("PartOfGroup", NoGroup), ("Color", Colour));
            xml.WriteElementString("Attributes", null);
            xml.WriteEndElement();
        }
    }

    const string NoGroup = "None", Colour = "#F4FA58"; // ASAP's first

    static string Group(Annotation annotation) => annotation.Group.Length == 0 ? NoGroup : annotation.Group;

    static void Write(XmlWriter xml, Annotation annotation, IReadOnlyList<SlidePoint> ring)
    {
        static string Text(double value) => value.ToString("R", CultureInfo.InvariantCulture);
        Start(xml, "Annotation", ("Name", annotation.Name), ("Type", annotation.Kind.ToString()),
            ("PartOfGroup", Group(annotation)), ("Color", Colour));
        xml.WriteStartElement("Coordinates");
        for (int i = 0; i < ring.Count; i++)
        {
            Start(xml, "Coordinate", ("Order", Text(i)), ("X", Text(ring[i].X)), ("Y", Text(ring[i].Y)));
            xml.WriteEndElement();
        }
        xml.WriteEndElement();
        xml.WriteEndElement();
    }

    static void Start(XmlWriter xml, string name, params ReadOnlySpan<(string Name, string Value)> attributes)
    {
        xml.WriteStartElement(name);
        foreach ((string attribute, string value) in attributes) xml.WriteAttributeString(attribute, value);
    }

    static IEnumerable<IReadOnlyList<SlidePoint>> Rings(Annotation annotation)
    {
        if (annotation.Kind == AnnotationKind.Line)
            throw new ArgumentException($"annotation '{annotation.Name}': ASAP has no lines");
        if (annotation.Polygons.Any(p => p.Holes.Count > 0))
            throw new ArgumentException($"annotation '{annotation.Name}': ASAP has no polygons with holes");
        return annotation.Polygons.Count > 0 ? annotation.Polygons.Select(p => p.Outer) : [annotation.Points];
    }

    // From an annotation's beginning to its end, coordinate by coordinate: outlines may have a hundred thousand.
    static Annotation Parse(XmlReader reader, string name)
    {
        string type = reader.GetAttribute("Type") ?? "", title = reader.GetAttribute("Name") ?? "";
        string group = reader.GetAttribute("PartOfGroup") ?? "None";
        int line = Line(reader), depth = reader.Depth;
        AnnotationKind kind = type.ToUpperInvariant() switch
        {
            "POLYGON" => AnnotationKind.Polygon,
            "RECTANGLE" => AnnotationKind.Rectangle,
            "SPLINE" => AnnotationKind.Spline,
            "DOT" => AnnotationKind.Dot,
            "POINTSET" or "NONE" => AnnotationKind.PointSet, // none: begun and not drawn
            "MEASUREMENT" => AnnotationKind.Line,
            _ => throw At(line, name,
                $"type '{type}'; ASAP has Polygon, Rectangle, Spline, Dot, PointSet and Measurement"),
        };
        List<(double Order, SlidePoint At)> read = [];
        for (bool more = !reader.IsEmptyElement; more;)
        {
            more = reader.Read() && reader.Depth > depth;
            if (more && reader.NodeType == XmlNodeType.Element && reader.LocalName == "Coordinate")
            {
                double order = reader.GetAttribute("Order") is null ? read.Count : Number(reader, "Order", name);
                read.Add((order, new SlidePoint(Number(reader, "X", name), Number(reader, "Y", name))));
            }
        }
        SlidePoint[] points = [.. read.OrderBy(c => c.Order).Select(c => c.At)];
        bool isArea = kind is AnnotationKind.Polygon or AnnotationKind.Rectangle or AnnotationKind.Spline;
        if (isArea && points.Length < 3)
            throw At(line, name, $"a {type} of {points.Length} points; an area has at least 3");
        return new Annotation(title, kind, group, isArea ? [new SlidePolygon(points)] : [], isArea ? [] : points);
    }

    static double Number(XmlReader coordinate, string attribute, string name)
    {
        string text = coordinate.GetAttribute(attribute) ?? "";
        bool isNumber = double.TryParse(text.Replace(',', '.'), NumberStyles.Float, CultureInfo.InvariantCulture,
            out double value);
        return isNumber && Math.Abs(value) <= SlidePoint.Farthest ? value
            : throw At(Line(coordinate), name, $"{attribute}=\"{text}\" is no coordinate");
    }

    static int Line(XmlReader reader) => ((IXmlLineInfo)reader).LineNumber;

    static AnnotationException At(int line, string name, string what) => new($"{name}, line {line}: {what}");
}
