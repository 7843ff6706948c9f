// ASAP's annotation files, as CAMELYON ships them. Points are put in order of their Order; coordinates may have been
// written with a decimal comma (ASAP follows the system's language). No DTD is read: nothing outside the file is
// opened.
using System.Globalization;
using System.Xml;
using System.Xml.Linq;

namespace EpSam.Imaging.Annotations;

/// <summary>Reads ASAP's XML.</summary>
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
            XElement root = XElement.Load(reader, LoadOptions.SetLineInfo);
            if (root.Name.LocalName != "ASAP_Annotations")
            {
                throw new AnnotationException(
                    $"{name}: the outermost element is {root.Name.LocalName}, expected ASAP_Annotations");
            }
            return [.. (root.Element("Annotations")?.Elements("Annotation") ?? []).Select(a => Parse(a, name))];
        }
        catch (XmlException e)
        {
            throw new AnnotationException($"{name}: not XML that can be read: {e.Message}", e);
        }
    }

    static Annotation Parse(XElement element, string name)
    {
        SlidePoint[] points =
        [
            .. (element.Element("Coordinates")?.Elements("Coordinate") ?? [])
                .Select((c, i) => (Order: Order(c, i, name), At: new SlidePoint(Number(c, "X", name),
                    Number(c, "Y", name))))
                .OrderBy(c => c.Order).Select(c => c.At),
        ];
        string type = (string?)element.Attribute("Type") ?? "";
        AnnotationKind kind = type.ToUpperInvariant() switch
        {
            "POLYGON" => AnnotationKind.Polygon,
            "RECTANGLE" => AnnotationKind.Rectangle,
            "SPLINE" => AnnotationKind.Spline,
            "DOT" => AnnotationKind.Dot,
            "POINTSET" => AnnotationKind.PointSet,
            _ => throw At(element, name, $"type '{type}'; ASAP has Polygon, Rectangle, Spline, Dot and PointSet"),
        };
        bool isArea = kind is AnnotationKind.Polygon or AnnotationKind.Rectangle or AnnotationKind.Spline;
        if (isArea && points.Length < 3)
            throw At(element, name, $"a {type} of {points.Length} points; an area has at least 3");
        return new Annotation((string?)element.Attribute("Name") ?? "", kind,
            (string?)element.Attribute("PartOfGroup") ?? "None", isArea ? [new SlidePolygon(points)] : [],
            isArea ? [] : points);
    }

    static double Order(XElement coordinate, int index, string name) =>
        coordinate.Attribute("Order") is null ? index : Number(coordinate, "Order", name);

    static double Number(XElement coordinate, string attribute, string name)
    {
        const double Farthest = 1e9; // pixels: far more than any slide has
        string text = (string?)coordinate.Attribute(attribute) ?? "";
        bool isNumber = double.TryParse(text.Replace(',', '.'), NumberStyles.Float, CultureInfo.InvariantCulture,
            out double value);
        return isNumber && Math.Abs(value) <= Farthest ? value
            : throw At(coordinate, name, $"{attribute}=\"{text}\" is no coordinate");
    }

    static AnnotationException At(IXmlLineInfo place, string name, string what) =>
        new($"{name}, line {place.LineNumber}: {what}");
}
