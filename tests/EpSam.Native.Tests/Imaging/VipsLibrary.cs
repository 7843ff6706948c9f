using EpSam.Imaging;

namespace EpSam.Native.Tests.Imaging;

/// <summary>Tests that read images are skipped, with the reason, where libvips is not installed.</summary>
internal static class VipsLibrary
{
    public static void RequireOrSkip()
    {
        try
        {
            Vips.Require();
        }
        catch (ImagingException e) when (e.Kind == ImagingError.LibraryMissing)
        {
            Assert.Ignore(e.Message);
        }
    }
}
