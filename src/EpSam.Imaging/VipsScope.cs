// One read or write: owns every image made on the way and gives all of them back at its end, the last one first.
// An operation is created by name, its arguments are set as properties, it is built, and its output is taken.
using static EpSam.Imaging.Vips;

namespace EpSam.Imaging;

/// <summary>The images of one piece of work. Not thread-safe.</summary>
internal sealed unsafe class VipsScope(string name) : IDisposable
{
    const int StripRows = 64;

    readonly List<nint> owned = [];

    /// <summary>Runs an image to image operation; arguments are given as text, enums by their nick names.</summary>
    public nint Run(ImagingError kind, string operation, nint input,
        params ReadOnlySpan<(string Name, string Value)> arguments)
    {
        nint op = New(operation, arguments);
        SetImage(op, input);
        return TakeImage(Build(kind, op));
    }

    /// <summary>Opens a file: reads the header and leaves the pixels for later.</summary>
    public nint Open(string loader, string path)
    {
        nint op = New(loader, [("filename", path), .. LoaderArguments]);
        return TakeImage(Build(ImagingError.Damaged, op));
    }

    /// <summary>Opens a file of which any part is read at any time; arguments say which page.</summary>
    public nint OpenRandom(string loader, string path, ReadOnlySpan<(string Name, string Value)> arguments)
    {
        nint op = New(loader, [("filename", path), ("access", "random"), ("fail_on", "error"), .. arguments]);
        return TakeImage(Build(ImagingError.Damaged, op));
    }

    /// <summary>Runs a loader with all of its arguments given.</summary>
    public nint Load(string loader, ReadOnlySpan<(string Name, string Value)> arguments) =>
        TakeImage(Build(ImagingError.Damaged, New(loader, arguments)));

    /// <summary>Writes a file with a saver: "filename" is among the arguments.</summary>
    public void Save(string saver, nint image, ReadOnlySpan<(string Name, string Value)> arguments)
    {
        nint op = New(saver, arguments);
        SetImage(op, image);
        Release(Build(ImagingError.CannotEncode, op));
    }

    /// <summary>Decodes a rectangle of an 8-bit image that was opened for any order.</summary>
    public byte[] Region(nint image, int left, int top, int width, int height)
    {
        nint region = vips_region_new(image);
        try
        {
            nuint length;
            byte* pixels = vips_region_fetch(region, left, top, width, height, &length);
            if (pixels == null) throw Failed(ImagingError.Damaged);
            byte[] bytes = new ReadOnlySpan<byte>(pixels, checked((int)length)).ToArray();
            g_free(pixels);
            return bytes;
        }
        finally
        {
            g_object_unref(region);
        }
    }

    /// <summary>Opens encoded bytes, which must stay where they are until the scope ends.</summary>
    public nint Open(string loader, byte* data, long length)
    {
        nint op = New(loader + "_buffer", LoaderArguments);
        nint blob = vips_blob_new(null, data, (nuint)length);
        Value value = default;
        g_value_init(&value, vips_blob_get_type());
        g_value_set_boxed(&value, blob);
        g_object_set_property(op, "buffer", &value);
        g_value_unset(&value);
        vips_area_unref(blob);
        return TakeImage(Build(ImagingError.Damaged, op));
    }

    /// <summary>Views pixels as an image without copying them.</summary>
    public nint View(byte* pixels, int width, int height, int bands)
    {
        nint image = vips_image_new_from_memory(
            pixels, (nuint)((long)width * height * bands), width, height, bands, (int)BandFormat.UChar);
        return image != 0 ? Own(image) : throw Failed(ImagingError.CannotEncode);
    }

    /// <summary>
    /// Decodes the pixels of an 8-bit image, a strip at a time from the top, on this thread: when libvips decodes on
    /// threads of its own (vips_image_write_to_memory), now and then an error of theirs does not reach the caller.
    /// </summary>
    public byte[] Pixels(nint image)
    {
        int width = vips_image_get_width(image), height = vips_image_get_height(image);
        byte[] pixels = new byte[checked(width * height * vips_image_get_bands(image))];
        nint region = vips_region_new(image);
        try
        {
            for (int top = 0, at = 0; top < height; top += StripRows)
            {
                nuint length;
                byte* strip = vips_region_fetch(region, 0, top, width, Math.Min(StripRows, height - top), &length);
                if (strip == null) throw Failed(ImagingError.Damaged);
                new ReadOnlySpan<byte>(strip, checked((int)length)).CopyTo(pixels.AsSpan(at));
                g_free(strip);
                at += (int)length;
            }
        }
        finally
        {
            g_object_unref(region);
        }
        return pixels;
    }

    /// <summary>Encodes with a "..._buffer" saver.</summary>
    public byte[] Encode(string saver, nint image, params ReadOnlySpan<(string Name, string Value)> arguments)
    {
        nint op = New(saver, arguments);
        SetImage(op, image);
        op = Build(ImagingError.CannotEncode, op);
        Value value = default;
        g_value_init(&value, vips_blob_get_type());
        g_object_get_property(op, "buffer", &value);
        nuint length;
        void* data = vips_blob_get(g_value_get_boxed(&value), &length);
        byte[] bytes = new ReadOnlySpan<byte>(data, checked((int)length)).ToArray();
        g_value_unset(&value);
        Release(op);
        return bytes;
    }

    /// <summary>The error libvips has left behind, under the name of this work's image.</summary>
    public ImagingException Failed(ImagingError kind)
    {
        string text = TakeError();
        // Of a whole file that a loader cannot decode (old compressions, subsampled planes) libvips says just this.
        if (kind == ImagingError.Damaged && (text.Contains("not supported") || text.Contains("not implemented")))
            kind = ImagingError.Unsupported;
        return new(kind, kind == ImagingError.Damaged ? $"{name}: truncated or damaged: {text}" : $"{name}: {text}");
    }

    public void Dispose()
    {
        for (int i = owned.Count - 1; i >= 0; i--) g_object_unref(owned[i]);
        owned.Clear();
    }

    // Rows are read once from the top; broken data is an error and not a grey picture.
    static readonly (string, string)[] LoaderArguments = [("access", "sequential"), ("fail_on", "error")];

    nint New(string operation, ReadOnlySpan<(string Name, string Value)> arguments)
    {
        nint op = vips_operation_new(operation);
        if (op == 0)
        {
            throw new ImagingException(ImagingError.Unsupported,
                $"{name}: this libvips was built without '{operation}' ({TakeError()})");
        }
        foreach ((string argument, string value) in arguments)
        {
            if (vips_object_set_argument_from_string(op, argument, value) == 0) continue;
            g_object_unref(op);
            throw new InvalidOperationException($"{operation} {argument}={value}: {TakeError()}");
        }
        return op;
    }

    static void SetImage(nint op, nint image)
    {
        Value value = default;
        g_value_init(&value, vips_image_get_type());
        g_value_set_object(&value, image);
        g_object_set_property(op, "in", &value);
        g_value_unset(&value);
    }

    nint Build(ImagingError kind, nint op)
    {
        nint built = vips_cache_operation_build(op);
        if (built == 0)
        {
            Release(op);
            throw Failed(kind);
        }
        g_object_unref(op);
        return built;
    }

    nint TakeImage(nint op)
    {
        Value value = default;
        g_value_init(&value, vips_image_get_type());
        g_object_get_property(op, "out", &value);
        nint image = g_object_ref(g_value_get_object(&value));
        g_value_unset(&value);
        Release(op);
        return Own(image);
    }

    static void Release(nint op)
    {
        vips_object_unref_outputs(op);
        g_object_unref(op);
    }

    nint Own(nint image)
    {
        owned.Add(image);
        return image;
    }
}

/// <summary>VipsBandFormat: the type of a sample.</summary>
internal enum BandFormat { UChar, Char, UShort, Short, UInt, Int, Float, Complex, Double, DoubleComplex }

/// <summary>VipsInterpretation: what the bands mean; only those that are looked at.</summary>
internal enum Interpretation { MultiBand = 0, Grey = 1, Cmyk = 15, Rgb = 17, SRgb = 22, Rgb16 = 25, Grey16 = 26 }
