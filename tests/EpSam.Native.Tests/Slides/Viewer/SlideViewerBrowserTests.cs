// The viewer in a real browser, from file:// and from a static server: what is seen is compared with the slide's own
// pixels, layers are toggled and faded by the controls and keys that a user has. Screenshots are left in the
// work folder.
using System.Globalization;
using System.Net;
using EpSam.Imaging;
using EpSam.Native.Tests.Imaging;
using EpSam.Slides;
using EpSam.Slides.Segment;
using EpSam.Slides.Viewer;

namespace EpSam.Native.Tests.Slides.Viewer;

[Category("Slow")]
public sealed class SlideViewerBrowserTests
{
    const int Width = 1280, Height = 800, SlideWidth = 2600, SlideHeight = 1900;
    const string Name = "Zervix <script>alert(1)</script> & 50 %";
    const string View = "window.epsamViewer.viewer";

    ViewerScene? _scene;

    [OneTimeSetUp]
    public void Write()
    {
        VipsLibrary.RequireOrSkip();
        string openSeadragon = RepositoryRoot.File("build/openseadragon");
        if (SlideViewer.FindOpenSeadragon() is null && SlideViewer.FindOpenSeadragon(openSeadragon) is null)
            Assert.Ignore("no OpenSeadragon: cmake/get-openseadragon build/openseadragon");
        _scene = new ViewerScene(SlideWidth, SlideHeight, Name);
        SlideViewer.Write(_scene.Viewer, _scene.Slide, _scene.Results, _scene.Summary, default,
            new ViewerOptions { OpenSeadragon = SlideViewer.FindOpenSeadragon() ?? openSeadragon });
    }

    [OneTimeTearDown]
    public void Remove() => _scene?.Dispose();

    [TestCase("file")]
    [TestCase("server")]
    public void Page_InABrowser_ShowsSlideLayersAndScale(string from)
    {
        using Browser browser = Browser.StartOrSkip(Width, Height);
        using StaticServer? server = from == "server" ? new StaticServer(_scene!.Viewer) : null;
        browser.Open(server?.Address ?? new Uri(Path.Combine(_scene!.Viewer, "index.html")).AbsoluteUri);
        Settle(browser);
        Save(browser, $"viewer-{from}");
        Assert.That(browser.Run("document.title").GetString(), Is.EqualTo(Name));
        Assert.That(browser.Run("document.getElementById('name').textContent").GetString(), Is.EqualTo(Name));
        ToggleByKeys(browser);
        Fade(browser, from);
        Zoom(browser);
        Pointer(browser);
        Save(browser, $"viewer-{from}-near");
        Assert.That(browser.Complaints, Is.Empty, string.Join('\n', browser.Complaints));
    }

    [Test]
    public void Page_InASmallWindow_IsUsable()
    {
        using Browser browser = Browser.StartOrSkip(420, 640);
        browser.Open(new Uri(Path.Combine(_scene!.Viewer, "index.html")).AbsoluteUri);
        Settle(browser);
        Save(browser, "viewer-small");
        Assert.That(browser.Run("document.getElementById('view').clientHeight").GetInt32(), Is.GreaterThan(300));
        Assert.That(browser.Run("document.documentElement.scrollWidth").GetInt32(), Is.EqualTo(420));
        browser.Press("p");
        Assert.That(browser.Run("document.getElementById('view').clientHeight").GetInt32(), Is.EqualTo(640));
        Assert.That(browser.Complaints, Is.Empty, string.Join('\n', browser.Complaints));
    }

    [Test]
    public void Page_WithoutOpenSeadragon_SaysWhatIsMissing()
    {
        string folder = _scene!.Results.Root + "/bare";
        Directory.CreateDirectory(folder);
        foreach (string file in Directory.GetFiles(_scene.Viewer))
            if (!file.EndsWith("openseadragon.min.js", StringComparison.Ordinal))
                File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        using Browser browser = Browser.StartOrSkip(Width, Height);
        browser.Open(new Uri(Path.Combine(folder, "index.html")).AbsoluteUri);
        Save(browser, "viewer-bare");
        string text = browser.Run("document.getElementById('problem').innerText").GetString()!;
        Assert.That(text, Does.Contain("openseadragon.min.js is missing").And.Contain("cmake/get-openseadragon"));
        Assert.That(browser.Run("document.body.innerText").GetString(), Does.Contain("mm²"), "figures are there");
        Assert.That(browser.Complaints.Where(c => !c.Contains("ERR_FILE_NOT_FOUND")), Is.Empty);
    }

    [Test]
    public void Index_AClickOnAHead_SortsTheSlides()
    {
        string folder = Directory.CreateDirectory(Path.Combine(_scene!.Results.Root, "index")).FullName;
        ImageWriter.WritePng(Path.Combine(folder, "overlay.png"), new SlideView(_scene.Slide, 8).Read(0, 0, 325, 237));
        SlideSummary Slide(string name, double tumour, int regions) =>
            _scene.Summary with { Name = name, File = $"{name}.svs", TumourMm2 = tumour, Regions = regions };
        ViewerIndex.Write(Path.Combine(folder, "index.html"),
        [
            (Slide("b 10", 0.2, 7), "b 10/viewer", "overlay.png"), (Slide(Name, 0.12, 1200), "c/viewer", "overlay.png"),
            (Slide("b 9", 0, 0), null, "overlay.png"),
        ],
        [("gone", "/data/gone.svs: Could not find file")]);
        using Browser browser = Browser.StartOrSkip(Width, Height);
        browser.Open(new Uri(Path.Combine(folder, "index.html")).AbsoluteUri);
        Assert.That(Order(), Is.EqualTo("b 10|Zervix|b 9"));
        Click(0);
        Assert.That(Order(), Is.EqualTo("b 9|b 10|Zervix"), "by name, numbers as numbers");
        Click(4);
        Assert.That(Order(), Is.EqualTo("Zervix|b 10|b 9"), "most regions first");
        Click(4);
        Assert.That(Order(), Is.EqualTo("b 9|b 10|Zervix"));
        Click(1);
        Assert.That(Order(), Is.EqualTo("b 10|Zervix|b 9"), "most tumour first");
        Save(browser, "viewer-index");
        Assert.That(browser.Complaints, Is.Empty, string.Join('\n', browser.Complaints));

        string Order() => browser.Run("[...document.querySelectorAll('tbody tr')]"
            + ".map(r => r.cells[1].dataset.value.split(' <')[0]).join('|')").GetString()!;
        void Click(int column) => browser.Run($"document.querySelectorAll('th button')[{column}].click()");
    }

    // 1: the slide alone is the slide. Its pixels are compared as the means of squares.
    static readonly (int X, int Y)[] Places = [(700, 500), (1300, 950), (1700, 1200), (1000, 1100)];

    void ToggleByKeys(Browser browser)
    {
        Set(browser, tumour: false, outlines: false);
        Raster seen = Seen(browser);
        SlideView view = new(_scene!.Slide, 1);
        foreach ((int x, int y) in Places)
        {
            const int Side = 100;
            byte[] expected = MeanColour(view.Read(x, y, Side, Side), 0, 0, Side, Side);
            (double left, double top) = OnScreen(browser, x, y);
            (double right, double bottom) = OnScreen(browser, x + Side, y + Side);
            byte[] actual = MeanColour(seen, (int)left, (int)top, (int)(right - left), (int)(bottom - top));
            for (int c = 0; c < 3; c++)
                Assert.That(actual[c], Is.EqualTo(expected[c]).Within(8), $"channel {c} at {x}, {y}");
        }
        Assert.That(Count(seen, 0xFFB224), Is.Zero, "no outlines");
        browser.Press("4");
        Frame(browser);
        Assert.That(Count(Seen(browser), 0xFFB224), Is.GreaterThan(100), "outlines");
        browser.Press("4");
        browser.Press("1");
        Frame(browser);
        (double X, double Y) at = OnScreen(browser, Places[0].X, Places[0].Y);
        Assert.That(Colour(Seen(browser), at), Is.EqualTo(0x131416), "nothing");
        browser.Press("1");
    }

    // 2: tumour at full opacity has its tint, faded by half the mean of tint and slide, and none elsewhere.
    void Fade(Browser browser, string from)
    {
        (int x, int y) = InTumour();
        (double X, double Y) at = OnScreen(browser, x, y);
        Set(browser, tumour: false, outlines: false);
        int bare = Colour(Seen(browser), at);
        Set(browser, tumour: true, outlines: false, opacity: 100);
        Assert.That(Colour(Seen(browser), at), Is.EqualTo(0x28BEFF));
        Set(browser, tumour: true, outlines: false, opacity: 50);
        int half = Colour(Seen(browser), at);
        foreach (int shift in new[] { 0, 8, 16 })
        {
            int expected = ((bare >> shift & 255) + (0x28BEFF >> shift & 255)) / 2;
            Assert.That(half >> shift & 255, Is.EqualTo(expected).Within(2));
        }
        Set(browser, tumour: false, outlines: false);
        browser.Press("2");
        Settle(browser);
        int heat = Colour(Seen(browser), at);
        Assert.That((heat >> 8 & 255) - (heat & 255), Is.GreaterThan(40), $"yellow is expected, got {heat:x6}");
        Save(browser, $"viewer-{from}-heat");
        browser.Press("2");
        Set(browser, tumour: true, outlines: true, opacity: 30);
    }

    // 3: by its button, and the scale bar follows: its length on the screen times a pixel's size is what it says.
    static void Zoom(Browser browser)
    {
        string before = Scale(browser);
        double scale = browser.Run("window.epsamViewer.scale()").GetDouble();
        for (int i = 0; i < 4; i++) browser.Run("document.getElementById('zoom-in').click()");
        Settle(browser);
        Assert.That(browser.Run("window.epsamViewer.scale()").GetDouble(), Is.GreaterThan(3 * scale));
        Assert.That(Scale(browser), Is.Not.EqualTo(before));
    }

    static string Scale(Browser browser)
    {
        string text = browser.Run("document.getElementById('scale-text').textContent").GetString()!;
        string[] parts = text.Split(' ');
        double length = double.Parse(parts[0], CultureInfo.InvariantCulture) * (parts[1] == "mm" ? 1000 : 1);
        double pixels = browser.Run("document.getElementById('scale-bar').getBoundingClientRect().width").GetDouble();
        (double from, double to) = (OnScreen(browser, 0, 0).X, OnScreen(browser, SlideWidth, 0).X);
        double micrometres = SlideWidth * ViewerScene.Mpp / (to - from);
        Assert.That(pixels * micrometres, Is.EqualTo(length).Within(0.02 * length), text);
        Assert.That(pixels, Is.InRange(40, 135));
        return text;
    }

    // 4: the position under the pointer is the slide's.
    static void Pointer(Browser browser)
    {
        (double x, double y) = OnScreen(browser, SlideWidth / 2, SlideHeight / 2);
        browser.Point(Math.Round(x), Math.Round(y));
        string text = browser.Run("document.getElementById('position').textContent").GetString()!;
        double[] position = [.. text.Replace(",", "").Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Where(p => char.IsAsciiDigit(p[0])).Select(p => double.Parse(p, CultureInfo.InvariantCulture))];
        Assert.That(position, Has.Length.EqualTo(2), text);
        Assert.That(position[0], Is.EqualTo(SlideWidth / 2).Within(2));
        Assert.That(position[1], Is.EqualTo(SlideHeight / 2).Within(2));
    }

    (int X, int Y) InTumour()
    {
        const int Reach = 12; // pixels of the mask that are tumour all round
        (int width, int height) = (SlideWidth / 2, SlideHeight / 2);
        for (int y = Reach; y < height - Reach; y += 4)
        {
            for (int x = Reach; x < width - Reach; x += 4)
            {
                bool isAll = true;
                for (int dy = -Reach; dy <= Reach && isAll; dy++)
                    isAll = _scene!.Mask.AsSpan((y + dy) * width + x - Reach, 2 * Reach + 1).IndexOf((byte)0) < 0;
                if (isAll) return (2 * x, 2 * y);
            }
        }
        throw new InvalidOperationException("no tumour");
    }

    // By the controls themselves.
    static void Set(Browser browser, bool tumour, bool outlines, int? opacity = null)
    {
        if (opacity is int percent)
        {
            browser.Run($"(s => {{ s.value = {percent}; s.dispatchEvent(new Event('input')); }})"
                + "(document.getElementById('opacity-tumour'))");
        }
        foreach ((string name, bool isOn) in new[] { ("tumour", tumour), ("outlines", outlines) })
        {
            browser.Run($"(b => {{ if (b.checked !== {(isOn ? "true" : "false")}) b.click(); }})"
                + $"(document.getElementById('on-{name}'))");
        }
        Settle(browser);
    }

    static void Settle(Browser browser)
    {
        browser.WaitFor($"{View} && {View}.isOpen() && {View}.world.getItemCount() === 3");
        browser.WaitFor($"Math.abs({View}.viewport.getZoom(true) / {View}.viewport.getZoom(false) - 1) < 1e-6");
        browser.WaitFor($"!{View}.isAnimating() && [0, 1, 2].map(i => {View}.world.getItemAt(i))"
            + ".every(item => item.opacity === 0 || item.getFullyLoaded())");
        Frame(browser);
    }

    static void Frame(Browser browser) => browser.Run(
        "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 60))))");

    static (double X, double Y) OnScreen(Browser browser, double x, double y)
    {
        string text = browser.Run(FormattableString.Invariant(
            $$"""
            (() => { const v = {{View}}, b = v.canvas.getBoundingClientRect();
            const point = new OpenSeadragon.Point({{x}} / {{SlideWidth}}, {{y}} / {{SlideWidth}});
            const p = v.viewport.pixelFromPoint(point);
            return `${p.x + b.left} ${p.y + b.top}`; })()
            """)).GetString()!;
        double[] parts = [.. text.Split(' ').Select(p => double.Parse(p, CultureInfo.InvariantCulture))];
        return (parts[0], parts[1]);
    }

    static Raster Seen(Browser browser) => ImageReader.ReadRgb(browser.Screenshot());

    static void Save(Browser browser, string name) => File.WriteAllBytes(
        Path.Combine(TestContext.CurrentContext.WorkDirectory, $"{name}.png"), browser.Screenshot());

    static int Colour(Raster image, (double X, double Y) at)
    {
        ReadOnlySpan<byte> pixel = image.Pixels.AsSpan(3 * ((int)at.Y * image.Width + (int)at.X), 3);
        return pixel[0] << 16 | pixel[1] << 8 | pixel[2];
    }

    static int Count(Raster image, int colour)
    {
        int count = 0, panel = image.Width - 304; // there the colour is in a swatch
        for (int y = 0; y < image.Height; y++)
            for (int x = 0; x < panel; x++)
                if (Colour(image, (x, y)) == colour) count++;
        return count;
    }

    static byte[] MeanColour(Raster image, int left, int top, int width, int height)
    {
        long[] sum = new long[3];
        for (int y = top; y < top + height; y++)
            for (int x = left; x < left + width; x++)
                for (int c = 0; c < 3; c++) sum[c] += image.Pixels[3 * (y * image.Width + x) + c];
        return [.. sum.Select(s => (byte)(s / (width * height)))];
    }

    // A folder over HTTP, as any static server gives it.
    sealed class StaticServer : IDisposable
    {
        readonly HttpListener _listener = new();
        readonly string _folder;

        public StaticServer(string folder)
        {
            _folder = folder;
            for (int tries = 0; ; tries++)
            {
                string address = $"http://127.0.0.1:{Random.Shared.Next(20_000, 60_000)}/";
                _listener.Prefixes.Clear();
                _listener.Prefixes.Add(address);
                try
                {
                    _listener.Start();
                    Address = address + "index.html";
                    break;
                }
                catch (HttpListenerException) when (tries < 20)
                {
                    // The port is taken.
                }
            }
            _ = Task.Run(Serve);
        }

        public string Address { get; }

        public void Dispose() => _listener.Close();

        async Task Serve()
        {
            while (_listener.IsListening)
            {
                HttpListenerContext context;
                try
                {
                    context = await _listener.GetContextAsync();
                }
                catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
                {
                    return;
                }
                string path = Path.Combine(_folder, context.Request.Url!.AbsolutePath.TrimStart('/'));
                if (File.Exists(path))
                {
                    context.Response.ContentType = Path.GetExtension(path) switch
                    {
                        ".html" => "text/html", ".js" => "text/javascript", ".css" => "text/css",
                        ".jpg" => "image/jpeg", ".png" => "image/png", _ => "application/octet-stream",
                    };
                    await context.Response.OutputStream.WriteAsync(await File.ReadAllBytesAsync(path));
                }
                else context.Response.StatusCode = 404;
                context.Response.Close();
            }
        }
    }
}
